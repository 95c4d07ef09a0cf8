"""Loads an exported classifier, which labels texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.calls.arguments import checked
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.export.description import read_description
from peftsearch.methods.base import TextModel
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.predict.input import InputTexts, Row

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase


WINDOW_BATCHES = 64
"""Batches of texts that are read, sorted by length and labelled together."""


@dataclass(frozen=True)
class LoadedClassifier(ABC):
    """A classifier on the CPU, in evaluation mode.

    Attributes:
        labels: the classes' names, by index.
        config: the configuration it was trained with.
        inputs: the texts that it reads in a row, as in training.

    Examples:
        >>> import peftsearch
        >>> classifier = peftsearch.load_classifier("my-classifier")
        >>> classifier.pair
        False
        >>> len(classifier.predict(["the very good cat", "a red word"], batch_size=2))
        2
        >>> len(classifier.predict("the very good cat"))
        1
    """

    labels: tuple[str, ...]
    config: TrialConfig
    inputs: InputTexts

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The column that held its texts in training, or what they were composed of; two of these for pairs."""
        return self.inputs.written

    @property
    def pair(self) -> bool:
        """Whether it labels pairs of texts."""
        return len(self.text_columns) == 2

    def predict(self, texts: str | Mapping[str, Any] | Sequence[Row], batch_size: int = 32) -> list[dict[str, Any]]:
        """Label each text.

        Args:
            texts: strings, pairs of strings for a classifier of pairs, or mappings with the study's columns. Where the
                study composes its texts, as in `query: {text}`, this method composes them in the same way. One string
                or mapping is one text.
            batch_size: the number of texts in one forward pass, which does not change the answers.

        Returns:
            A list with one answer for each text, in the order given, also where there is one text: its `label`, the
            label's `probability`, and `probabilities` by label, each in 0..1.

        Raises:
            UserError: a text is blank or not of the kind that the classifier labels, or `batch_size` is below 1.
        """
        return self._answers([texts] if isinstance(texts, str | Mapping) else texts, batch_size)

    def predict_iter(self, texts: Iterable[Row], batch_size: int = 32) -> Iterator[dict[str, Any]]:
        """Label texts as they come, so that they need not fit into memory.

        Args:
            texts: as `predict` takes them. They are read a window at a time, of `WINDOW_BATCHES` batches.
            batch_size: the number of texts in one forward pass.

        Yields:
            The answer for each text, in the order of the texts, as `predict` gives it.

        Raises:
            UserError: as `predict`.
        """
        coming, done = iter(texts), 0
        while window := list(islice(coming, max(1, batch_size) * WINDOW_BATCHES)):
            yield from self._answers(window, batch_size, done)
            done += len(window)

    def _answers(self, rows: Sequence[Row], batch_size: int, before: int = 0) -> list[dict[str, Any]]:
        """The answer for each row. `before` says how many rows of the same input were labelled earlier."""
        return self.predict_read([self.inputs.of_full(row, before + i) for i, row in enumerate(rows, 1)], batch_size)

    def predict_read(self, texts: Sequence[tuple[str, ...]], batch_size: int = 32) -> list[dict[str, Any]]:
        """As `predict`, for texts or pairs as `inputs.of` reads them in rows."""
        if batch_size < 1:
            raise UserError(f"batch_size must be at least 1, but got {batch_size}")
        # Texts of similar length share a batch, which then needs little padding; the answers keep the order given.
        order = sorted(range(len(texts)), key=lambda i: sum(map(len, texts[i])))
        found: list[dict[str, Any]] = [{} for _ in texts]
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            for place, row in zip(places, self._probabilities([texts[i] for i in places]), strict=True):
                found[place] = self._answer(row)
        return found

    @abstractmethod
    def _probabilities(self, texts: Sequence[tuple[str, ...]]) -> Iterator[list[float]]:
        """The probabilities of each text or pair, in the order of the labels."""

    def _answer(self, row: list[float]) -> dict[str, Any]:
        probabilities = dict(zip(self.labels, row, strict=True))
        label = max(probabilities, key=lambda name: probabilities[name])
        return {"label": label, "probability": probabilities[label], "probabilities": probabilities}


@dataclass(frozen=True)
class LoadedEncoderClassifier(LoadedClassifier):
    """A fine-tuned backbone with its head and tokenizer."""

    classifier: nn.Module
    tokenizer: PreTrainedTokenizerBase

    def _probabilities(self, texts: Sequence[tuple[str, ...]]) -> Iterator[list[float]]:
        import torch

        from peftsearch.training.batches import text_batch

        with torch.inference_mode():
            logits = self.classifier(**text_batch(self.tokenizer, texts, self.config.max_length)).logits
        yield from torch.softmax(logits.float(), dim=-1).tolist()


@dataclass(frozen=True)
class LoadedTextModel(LoadedClassifier):
    """A classifier without a backbone."""

    model: TextModel

    def _probabilities(self, texts: Sequence[tuple[str, ...]]) -> Iterator[list[float]]:
        from scipy.special import softmax

        yield from softmax(self.model.scores([" ".join(text) for text in texts]), axis=1).tolist()


@checked
def load_classifier(folder: str | Path) -> LoadedClassifier:
    """Load a classifier that `export_trial` or `peftsearch export` has written.

    No code of the folder is run, since the folder may come from anyone.

    Args:
        folder: the folder of the export.

    Returns:
        The classifier on the CPU; its `predict` labels texts.

    Raises:
        UserError: the folder is no export, or it is damaged; or it holds an adapter, and its backbone is not found.

    Examples:
        >>> classifier = load_classifier("my-classifier")
        >>> answer = classifier.predict(["the very good cat"])[0]
        >>> answer["label"] in classifier.labels, sorted(answer)
        (True, ['label', 'probabilities', 'probability'])
    """
    folder = Path(folder)
    described = read_description(folder)
    config, labels, text = described.config, described.labels, described.text
    inputs = InputTexts((text,) if isinstance(text, str) else tuple(text), described.strip)
    if config.method in TEXT_METHODS:
        return LoadedTextModel(labels, config, inputs, TEXT_METHODS[config.method].read(folder))
    from peftsearch.export.standard.reading import read_classifier

    classifier = read_classifier(folder, described.form, config, len(labels))
    return LoadedEncoderClassifier(labels, config, inputs, classifier, _tokenizer(folder))


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from peftsearch.backbones.loading import ResolvedModel, load_tokenizer

    path = str(folder.resolve())
    tokenizer: PreTrainedTokenizerBase = load_tokenizer(ResolvedModel(path, path, "folder"))
    return tokenizer
