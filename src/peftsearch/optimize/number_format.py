"""What is said, before anything is trained, about a number format that this machine is not made for."""

from __future__ import annotations

from peftsearch.workers.devices import gpus

WITHOUT_GPU = {
    "tf32": "tf32 needs a GPU, and this machine shows none, so every trial computes in fp32",
    "fp16": "fp16 is made for GPUs, and this machine shows none; auto takes what is fastest here",
}
"""Number formats that a CPU lacks, or that nothing is won by there."""


def format_notes(precision: str) -> list[str]:
    """A line if the number format that `training.precision` names does not suit this machine."""
    told = WITHOUT_GPU.get(precision)
    return [f"training.precision: {told}"] if told and not gpus() else []
