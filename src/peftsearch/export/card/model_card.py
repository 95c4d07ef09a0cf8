"""The model card of an exported classifier, with the front's picture and the adapter's own card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peftsearch.backbones.names import hub_name
from peftsearch.core.escaping import markdown_text
from peftsearch.core.objectives import quality_objective
from peftsearch.core.points import Point
from peftsearch.export.card.evidence import Evidence
from peftsearch.export.card.front_matter import front_matter
from peftsearch.export.card.how_to_load import HowToLoad
from peftsearch.export.card.limits import limits_section
from peftsearch.export.card.quality import quality_section
from peftsearch.export.card.sources import source_in_words
from peftsearch.export.description import CARD
from peftsearch.export.standard.forms import FOLDER
from peftsearch.methods.table import METHODS, TEXT_METHODS
from peftsearch.report.figures.picture import FrontPicture
from peftsearch.report.figures.points import axis_label, costs
from peftsearch.report.figures.save import save_front
from peftsearch.results.formatting import backbone_in_words, config_in_words, count_in_words
from peftsearch.results.front import whole_trials
from peftsearch.training.checkpoint import Checkpoint

PICTURE = "front.png"

BODY = """---
{front_matter}
---

# {title}

Labels {what} as one of {count} classes: {labels}.

{goal}## How to load it

{how}

## How good it is

{quality}

## Limits

{limits}

## How it was made

{made}

{picture}## Licence

The weights derive from the backbone and the texts named above: their licences apply, and this folder adds none.
"""

ADAPTERS_CARD = """---
{front_matter}
---

# The adapter of {title}

These are the trained weights of the method {method} ({summary}) alone, for the backbone {backbone}. They are one part
of a classifier: the folder above holds its head, its tokenizer and the names of its classes, and
[its model card](../README.md) says how to load it, what was measured, and what its limits are.

- **Paper**: {paper}
- **Settings**: {settings}
"""


def write_card(
    folder: Path, kept: Checkpoint, about: Mapping[str, Any], how: HowToLoad, evidence: Evidence | None = None
) -> None:
    """Write the model card and the front's picture into `folder`, and fill the cards that libraries have left there.

    Args:
        folder: the export, with everything else in it.
        about: what is known of the study: its name as `study`, and `goal` and `data`, as `About` has them.
        how: how the folder is opened.
        evidence: what is known of the classifier's quality besides the checkpoint's measurement.
    """
    evidence = evidence or Evidence()
    if len(evidence.rows) > 1:
        title = f"{about.get('study')}: {len(whole_trials(evidence.rows))} finished trials"
        picture = FrontPicture(
            evidence.rows, evidence.objectives, title, evidence.tested, kept.point, tolerance=evidence.tolerance
        )
        save_front(picture, folder / PICTURE)
    for card in folder.rglob(f"*/{CARD}"):
        card.write_text(_adapters_card(kept, about, how), encoding="utf-8")
    (folder / CARD).write_text(model_card(kept, about, how, evidence), encoding="utf-8")


def model_card(kept: Checkpoint, about: Mapping[str, Any], how: HowToLoad, evidence: Evidence | None = None) -> str:
    """The model card in Markdown; the arguments are those of `write_card`."""
    evidence, data = evidence or Evidence(), about.get("data") or {}
    name = f"{about.get('study') or 'text-classifier'}-{kept.config.method}"
    return BODY.format(
        front_matter=front_matter(kept, data, name, evidence, how),
        title=_title(kept, about),
        what="a pair of texts" if isinstance(data.get("text"), list) else "a text",
        count=len(kept.labels),
        labels=", ".join(map(markdown_text, kept.labels)),
        goal=f"{markdown_text(about['goal'])}\n\n" if about.get("goal") else "",
        how=how_in_words(how),
        quality=quality_section(kept, evidence),
        limits=limits_section(kept, evidence),
        made=_made(kept, about, evidence),
        picture=f"{_picture(kept, evidence)}\n\n" if len(evidence.rows) > 1 else "",
    )


def how_in_words(how: HowToLoad) -> str:
    """What has to be installed, and the code, in Markdown."""
    note = f"{how.note}\n\n" if how.note else ""
    needs = f"It needs `pip install {' '.join(how.needs)}`. `{FOLDER}` is the path of this folder"
    return f"{note}{needs}, or the name of its repository on the hub.\n\n```python\n{how.code.strip()}\n```"


def _adapters_card(kept: Checkpoint, about: Mapping[str, Any], how: HowToLoad) -> str:
    from huggingface_hub import ModelCardData

    method, base = METHODS[kept.config.method], hub_name(kept.config.backbone)
    return ADAPTERS_CARD.format(
        front_matter=ModelCardData(library_name=how.library, base_model=base, tags=[method.name]).to_yaml(),
        title=_title(kept, about),
        method=method.name,
        summary=method.summary,
        backbone=_backbone(kept),
        paper=method.paper,
        settings=_settings(kept),
    )


def _made(kept: Checkpoint, about: Mapping[str, Any], evidence: Evidence) -> str:
    measured, method, data = kept.measurement, METHODS[kept.config.method], about.get("data") or {}
    rows = "training and validation rows" if evidence.all_rows else "training rows"
    count = f", {sum(evidence.training.classes.values()):,} {rows}" if evidence.training else ""
    trained = f"{count_in_words(measured.trainable_parameters)} of {count_in_words(measured.total_parameters)}"
    epochs = f", {measured.epochs} epochs" if method.takes_steps else ""
    best = f", the weights are those of epoch {measured.best_epoch}" if method.takes_steps and epochs else ""
    versions = ", ".join(f"{name} {version}" for name, version in measured.versions.items())
    lines = {
        "Backbone": None if kept.config.method in TEXT_METHODS else _backbone(kept),
        "Method": f"{method.name} ({method.summary})",
        "Paper": method.paper,
        "Settings": _settings(kept),
        "Data": f"{markdown_text(source_in_words(data.get('source')))} "
        f"(fingerprint `{measured.data_fingerprint}`){count}",
        "Chosen from": _chosen_from(about),
        "Trainable parameters": trained,
        "Training": f"{measured.own_train_seconds:.1f} {markdown_text(measured.timed_in)} "
        f"({markdown_text(measured.precision)}){epochs}{best}",
        "Versions": markdown_text(versions),
    }
    return "\n".join(f"- **{name}**: {words}" for name, words in lines.items() if words)


def _picture(kept: Checkpoint, evidence: Evidence) -> str:
    on_test = " Hollow markers are means on the test rows, with 95 % intervals." if evidence.tested else ""
    finished = len(whole_trials(evidence.rows))
    epochs = " and of the epochs on the front" if finished < len(evidence.rows) else ""
    axes = " and ".join(f"against {axis_label(cost)}" for cost in costs(evidence.objectives))
    return (
        f"![Quality against cost of the study's finished trials]({PICTURE})\n\n"
        f"*The {axis_label(quality_objective(evidence.objectives))} {axes}, one marker for each of the "
        f"{finished} finished trials{epochs}. Strong colours are on the Pareto front: nothing else is at least as "
        f"good in every objective and better in one.{on_test} A ring marks this one, {kept.point.in_words}.*"
    )


def _chosen_from(about: Mapping[str, Any]) -> str:
    name, trial = about.get("study"), about.get("trial")
    if not name:
        return "not recorded"
    study = markdown_text(str(name))
    if trial is None:
        return f"no search; {study} was trained as its file says"
    return f"study {study}, {Point(trial, about.get('epoch')).in_words}"


def _title(kept: Checkpoint, about: Mapping[str, Any]) -> str:
    return markdown_text(f"{about.get('study') or 'Text classifier'}: {kept.config.method}")


def _backbone(kept: Checkpoint) -> str:
    """The backbone's name, without the folders of a local path."""
    config = kept.config
    package = config.backbone if config.backbone.startswith("package:") else None
    known = hub_name(config.backbone) or package or f"{backbone_in_words(config.backbone)} (a local folder)"
    return markdown_text(known + (f" at {config.revision}" if config.revision else ""))


def _settings(kept: Checkpoint) -> str:
    return markdown_text(config_in_words(kept.config) or "as is")
