"""How people open an exported folder: what the model card shows, and what tests and the proof run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from peftsearch.backbones.names import hub_name
from peftsearch.data.columns import PLACE, columns_of
from peftsearch.export.standard.forms import FOLDER, FORMS

WITH_PEFTSEARCH = """
# With peftsearch, from the columns of the study:
# peftsearch.load_classifier("DIR").predict([{example}])
"""


@dataclass(frozen=True)
class HowToLoad:
    """The documented way to open one form of folder.

    Attributes:
        library: the hub's name of the library, `library_name` in a card.
        code: a few lines of Python, in which `"DIR"` stands for the folder.
        needs: what has to be installed, as pip names it.
        note: a sentence to stand above the code; may be empty.
    """

    library: str
    code: str
    needs: tuple[str, ...]
    note: str = ""


def code_in(card: str, folder: Path) -> str:
    """The code of a model card's first block, with the path of the folder that the card is of."""
    _, _, rest = card.partition("```python\n")
    return rest.partition("\n```")[0].replace(f'"{FOLDER}"', repr(str(folder)))


def how_to_load(form: str, text: str | list[str], backbone: str = "") -> HowToLoad:
    """How a folder of this form is opened without peftsearch.

    Args:
        form: a key of `FORMS`.
        text: the study's `data.text`.
        backbone: its name, as the study writes it.
    """
    known, texts = FORMS[form], [text] if isinstance(text, str) else text
    bare = [_as_trained(written) for written in texts]
    row = repr(bare[0]) if len(bare) == 1 else repr({"text": bare[0], "text_pair": bare[1]})
    ours = WITH_PEFTSEARCH.format(example=_example(texts))
    code = f"{known.loader}print(classify([{row}]))\n{ours}"
    note = f"{known.summary}.{_where_the_backbone_is(backbone, known.backbone_key) if known.adapter else ''}"
    return HowToLoad(known.hub_library, code, known.requires, note)


def _where_the_backbone_is(name: str, key: str) -> str:
    known = hub_name(name)
    if known:
        return f" The backbone is read from the hub: {known}."
    return (
        f" The backbone is read from the local folder that `{key}` in `adapter_config.json` names: "
        "write there where it is on your machine."
    )


def _as_trained(written: str) -> str:
    """A text as training read it: what stands around the columns of a composed one belongs to it."""
    return PLACE.sub("…", written) if PLACE.search(written) else "a text"


def _example(texts: list[str]) -> str:
    """What `predict` takes: a text, a pair, or the columns that a text is composed of."""
    columns = dict.fromkeys((name for text in texts for name in columns_of(text)), "…")
    if len(columns) != len(texts) or any(len(columns_of(text)) > 1 for text in texts):
        return repr(columns)
    return '("one text", "and another")' if len(texts) == 2 else '"a text"'
