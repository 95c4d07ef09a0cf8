"""Measures how long a training step takes in each number format of a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from peftsearch.backbones.anatomy import anatomy_of_config
from peftsearch.backbones.loading import ResolvedModel, load_encoder
from peftsearch.training.meter import clock, device_name, is_out_of_memory, processor
from peftsearch.training.precision.number_formats import in_number_format

Step = Callable[[], None]

ROWS, WIDTH, INNER = 512, 384, 1536
"""The matrix product measured on a CPU: a small batch's tokens in the feed-forward part of a small encoder."""

MOST_TOKENS = 16_384
"""Tokens of a step that is measured on a GPU, at most; with more, every format takes proportionally longer."""


@dataclass(frozen=True)
class TrainingStep:
    """A training step of one trial.

    Attributes:
        rows: rows of a batch.
        tokens: the mean number of tokens in a row.
    """

    backbone: ResolvedModel
    trust_remote_code: bool
    rows: int
    tokens: float

    def name_on(self, device: torch.device) -> str:
        """The key of the measurement, which similar steps share; on a CPU all steps do."""
        if device.type == "cpu":
            return f"{processor()}, torch {torch.__version__}"
        encoder = anatomy_of_config(self.backbone.config())
        shape = f"{encoder.model_type} of {len(encoder.layers)} layers of {encoder.hidden_size}"
        rows, tokens = self.batch
        return f"{device_name(device)}, torch {torch.__version__}, {shape}, {rows} rows of {tokens} tokens"

    @property
    def batch(self) -> tuple[int, int]:
        """Rows and tokens to measure with: tokens are rounded up to a power of two, if the backbone takes so many."""
        tokens = 8
        while tokens < self.tokens:
            tokens *= 2
        tokens = min(tokens, anatomy_of_config(self.backbone.config()).positions or tokens)
        return max(1, min(self.rows, MOST_TOKENS // tokens)), tokens


def step_seconds(
    device: torch.device, formats: tuple[str, ...], work: TrainingStep, seconds: float
) -> dict[str, float]:
    """The median seconds of a step in each number format; the formats take turns for `seconds` in all.

    On a CPU the step is that of one linear layer, with one thread and in processor time: two threads on busy cores wait
    for each other, and showed bf16 at 0.7 of fp32's speed where one thread showed 1.9. On a GPU it is that of the whole
    encoder, with random weights, because every layer and every cast adds to the time that Python needs.
    """
    if device.type == "cpu":
        with _one_thread():
            return _take_turns(_linear_step(), device, formats, seconds)
    rows, tokens = work.batch
    while True:
        try:
            return _take_turns(encoder_step(work, rows, tokens, device), device, formats, seconds)
        except RuntimeError as error:
            if not is_out_of_memory(error) or rows == 1:
                raise
        rows //= 2  # outside `except`, whose traceback holds what was allocated
        torch.cuda.empty_cache()


def encoder_step(work: TrainingStep, rows: int, tokens: int, device: torch.device) -> Step:
    """A forward and backward pass through the backbone with random weights, all of them trainable."""
    with device:
        encoder: Any = load_encoder(work.backbone, work.trust_remote_code, without_weights=True).train()
    tensors = list(encoder.parameters())  # read once, because a trial's steps walk no modules for them either
    known = encoder.get_input_embeddings().num_embeddings
    ids = torch.randint(known, (rows, tokens), device=device)
    mask = torch.ones_like(ids)
    mask[0, -1] = 0  # nearly every batch has padding; without any, attention uses another kernel

    def step() -> None:
        encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float().sum().backward()
        for tensor in tensors:
            tensor.grad = None

    return step


def _take_turns(step: Step, device: torch.device, formats: tuple[str, ...], seconds: float) -> dict[str, float]:
    def now() -> float:
        return clock(device).seconds

    taken: dict[str, list[float]] = {name: [] for name in formats}
    for name in formats:  # the first step also chooses and loads kernels
        with in_number_format(device, name):
            step()
    until = now() + seconds
    while now() < until or not taken[formats[0]]:
        for name in formats:
            started = now()
            with in_number_format(device, name):
                step()
            taken[name].append(now() - started)
    return {name: median(times) for name, times in taken.items()}


def _linear_step() -> Step:
    layer, states = torch.nn.Linear(WIDTH, INNER), torch.randn(ROWS, WIDTH)
    return lambda: layer(states).float().sum().backward()


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
