"""How much work a new study does: the presets of `--effort`."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """A preset.

    Attributes:
        methods: the methods that are searched, the cheapest first.
        trials: the total of trials, if neither a total nor a time limit is given.
        texts_read: how many training texts a trial reads in all its epochs, about: few rows are read more often.
        least_epochs: how often each row is read at least.
        most_epochs: how often each row is read at most.
        most_rows: the most training rows; None for all of them.
        most_tokens: the longest that texts are read, in tokens.
    """

    methods: tuple[str, ...]
    trials: int
    texts_read: int
    least_epochs: int
    most_epochs: int
    most_rows: int | None
    most_tokens: int

    def epochs(self, rows: int) -> int:
        """The number of epochs for so many training rows."""
        read = min(rows, self.most_rows or rows)
        return min(self.most_epochs, max(self.least_epochs, math.ceil(self.texts_read / max(1, read))))


EFFORTS = {
    "quick": Effort(
        methods=("tfidf", "probe", "lora"),
        trials=8, texts_read=5_000, least_epochs=2, most_epochs=10, most_rows=2_000, most_tokens=128,
    ),
    "balanced": Effort(
        methods=("tfidf", "probe", "bitfit", "lora", "seq_bn", "full"),
        trials=24, texts_read=12_000, least_epochs=3, most_epochs=15, most_rows=20_000, most_tokens=256,
    ),
    "thorough": Effort(
        methods=("tfidf", "probe", "ia3", "bitfit", "frozen", "lora", "prefix", "seq_bn", "full"),
        trials=80, texts_read=30_000, least_epochs=4, most_epochs=30, most_rows=None, most_tokens=512,
    ),
}  # fmt: skip
"""The presets by name. What `quick` finds is a first model, and no verdict on the methods."""

DEFAULT_EFFORT = "balanced"

RANGES = {
    "tfidf": "{longest_term: [1, 2], inverse_penalty: {log: [0.1, 100]}}",
    "probe": "{learning_rate: {log: [1.0e-3, 1.0e-1]}, head: [linear, mlp], pooling: [cls, mean]}",
    "ia3": "{learning_rate: {log: [1.0e-3, 1.0e-1]}}",
    "bitfit": "{learning_rate: {log: [1.0e-4, 1.0e-2]}}",
    "frozen": "{frozen_layers: {range: [0.25, 0.85]}, learning_rate: {log: [1.0e-5, 1.0e-3]}}",
    "lora": "{learning_rate: {log: [1.0e-4, 1.0e-2]}, rank: [4, 8, 16, 32], targets: [query_value, attention, all]}",
    "prefix": "{learning_rate: {log: [1.0e-4, 1.0e-1]}, virtual_tokens: {int: [4, 40]}, projection: [true, false]}",
    "seq_bn": "{learning_rate: {log: [1.0e-4, 1.0e-2]}, reduction_factor: [4, 16, 64]}",
    "full": "{learning_rate: {log: [1.0e-5, 5.0e-4]}}",
}
"""What a new study searches of each method, as YAML."""
