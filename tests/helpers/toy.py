"""A task that any method can learn in a few epochs: the class is the animal or colour that the text names."""

from __future__ import annotations

import random
from types import MappingProxyType

import datasets

from peftsearch.data.base import TextData
from tests.helpers.tiny import WORDS

KEYS = ("cat", "dog", "red")
FILLERS = tuple(word for word in WORDS if word not in KEYS)


def toy_data(train: int = 96, validation: int = 48, seed: int = 0) -> TextData:
    """Texts of 3 to 12 words, one of them the key word of their class."""
    sizes = {"train": train, "validation": validation, "test": validation}
    rng = random.Random(seed)
    splits = {name: datasets.Dataset.from_dict(_rows(rng, size)) for name, size in sizes.items()}
    return TextData(
        labels=KEYS, splits=MappingProxyType(splits), fingerprint=f"toy-{train}-{validation}-{seed}", notes=()
    )


def _rows(rng: random.Random, size: int) -> dict[str, list[object]]:
    labels = [i % len(KEYS) for i in range(size)]
    texts = []
    for label in labels:
        words = rng.choices(FILLERS, k=rng.randint(2, 11))
        words.insert(rng.randint(0, len(words)), KEYS[label])
        texts.append(" ".join(words))
    return {"text": texts, "label": labels}
