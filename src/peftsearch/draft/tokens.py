"""How well a backbone's tokenizer reads the texts: their lengths in tokens, and whether it knows their language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from peftsearch.backbones.names import resolve_tokenizer
from peftsearch.core.errors import UserError

SAMPLE = 2_000
"""The most texts that are looked at, evenly spaced over the rows."""

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""A word, or a character of a script that is written without spaces."""

MOST_TOKENS_A_WORD = 2.5
"""The tokenizer of MiniLM-L6 made 1.2, 1.3 and 1.5 tokens of a word of three sets of English texts, and 5.9 of Russian
ones."""

MOST_UNKNOWN = 0.01
"""The largest share of unknown tokens that is not warned about."""


@dataclass(frozen=True)
class TokenFit:
    """What the tokenizer makes of the texts.

    Attributes:
        median: tokens of a text in the median.
        most: the length in tokens that 95 % of the texts do not exceed.
        a_word: tokens for each word, in the mean.
        unknown: the share of tokens that stand for something that the tokenizer does not know, 0..1.
    """

    median: int
    most: int
    a_word: float
    unknown: float

    def warnings(self, backbone: str) -> Iterator[str]:
        """A line if the tokenizer was not made for these texts."""
        if self.a_word <= MOST_TOKENS_A_WORD and self.unknown <= MOST_UNKNOWN:
            return
        unknown = f", and does not know {100 * self.unknown:.1f} % of them" if self.unknown > MOST_UNKNOWN else ""
        yield (
            f"the tokenizer of {backbone} makes {self.a_word:.1f} tokens of each word{unknown}: "
            "it was not made for this language; name a backbone that was with --backbone"
        )


def token_fit(backbone: str, texts: Sequence[str]) -> TokenFit | None:
    """Tokenise some of the texts, pairs joined; None where the backbone is not here or has no `tokenizer.json`."""
    from tokenizers import Tokenizer

    try:
        file = Path(resolve_tokenizer(backbone).path) / "tokenizer.json"
    except UserError:  # the search says so, with what to do
        return None
    if not file.is_file():
        return None
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    sample = list(texts[:: max(1, len(texts) // SAMPLE)])
    encoded = tokenizer.encode_batch(sample)
    unknown = getattr(tokenizer.model, "unk_token", None)
    pieces = [
        token for text in encoded
        for token, added in zip(text.tokens, text.special_tokens_mask, strict=True) if not added
    ]  # fmt: skip
    lengths = [len(text.ids) for text in encoded]
    return TokenFit(
        median=round(float(np.median(lengths))),
        most=round(float(np.percentile(lengths, 95))),
        a_word=len(pieces) / max(1, sum(len(WORD.findall(text)) for text in sample)),
        unknown=sum(piece == unknown for piece in pieces) / max(1, len(pieces)),
    )
