"""How long a training step takes in each number format of a device."""

from __future__ import annotations

import time
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
"""Of the product that is measured on a CPU: a small batch's tokens through a small encoder's feed-forward part."""

MOST_TOKENS = 16_384
"""Of a step that is measured on a GPU; with more, all formats take longer alike."""


@dataclass(frozen=True)
class TrainingStep:
    """What is computed in a step of one trial.

    Attributes:
        rows: of a batch.
        tokens: of a row, on average.
    """

    backbone: ResolvedModel
    trust_remote_code: bool
    rows: int
    tokens: float

    def name_on(self, device: torch.device) -> str:
        """The same for steps that need no second measurement; a CPU is measured once for all."""
        if device.type == "cpu":
            return f"{processor()}, torch {torch.__version__}"
        encoder = anatomy_of_config(self.backbone.config())
        shape = f"{encoder.model_type} of {len(encoder.layers)} layers of {encoder.hidden_size}"
        rows, tokens = self.batch
        return f"{device_name(device)}, torch {torch.__version__}, {shape}, {rows} rows of {tokens} tokens"

    @property
    def batch(self) -> tuple[int, int]:
        """Rows, and tokens of each rounded up to a power of two, from 8 on, as far as the backbone has positions."""
        tokens = 8
        while tokens < self.tokens:
            tokens *= 2
        tokens = min(tokens, anatomy_of_config(self.backbone.config()).positions or tokens)
        return max(1, min(self.rows, MOST_TOKENS // tokens)), tokens


def step_seconds(
    device: torch.device, formats: tuple[str, ...], work: TrainingStep, seconds: float
) -> dict[str, float]:
    """Median seconds of a step in each of `formats`, which take turns for `seconds`.

    On a CPU the step is one linear layer's, with one thread and in the processor's seconds: two threads on busy cores
    wait for each other, and showed bf16 at 0.7 of fp32's speed where one showed 1.9. On a GPU it is the whole
    encoder's, with random weights: where it waits for Python, every layer and every cast counts.
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
    """Forward and backward through the backbone with random weights, all of it trainable."""
    with device:
        encoder: Any = load_encoder(work.backbone, work.trust_remote_code, without_weights=True).train()
    tensors = list(encoder.parameters())  # as a trial's steps, these walk no modules for them
    known = encoder.get_input_embeddings().num_embeddings
    ids = torch.randint(known, (rows, tokens), device=device)
    mask = torch.ones_like(ids)
    mask[0, -1] = 0  # as nearly every batch has; without any padding attention takes another kernel

    def step() -> None:
        encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float().sum().backward()
        for tensor in tensors:
            tensor.grad = None

    return step


def _take_turns(step: Step, device: torch.device, formats: tuple[str, ...], seconds: float) -> dict[str, float]:
    now = time.process_time if device.type == "cpu" else lambda: clock(device)
    taken: dict[str, list[float]] = {name: [] for name in formats}
    for name in formats:  # the first of each also chooses and loads kernels
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
