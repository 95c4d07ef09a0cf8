"""The state of a training after one of its epochs, in one file: safetensors, with JSON in its header, and no pickle.

The file is written whole or not at all, and carries a checksum: what is damaged, or was written by another format, is
taken for nothing, and the training begins anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from peftsearch.core.files.disk import replacing
from peftsearch.data.cache import digest
from peftsearch.training.prefix_cache.states import tensors_fingerprint

FORMAT = 1
"""Raise it when training would have to go on from something else, or would go on differently."""

ABOUT, CHECKSUM = "about", "checksum"


@dataclass(frozen=True)
class TrainingState:
    """All that a training needs to go on as if it had not been interrupted.

    Attributes:
        about: JSON data. Under `origin` stands what must be the same where it goes on.
        tensors: under names of the form `PART.NAME`.
    """

    about: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors of one part, by their names within it."""
        return {key.removeprefix(f"{name}."): t for key, t in self.tensors.items() if key.startswith(f"{name}.")}

    @property
    def size(self) -> int:
        """The bytes of the tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())


def write_state(state: TrainingState, file: Path) -> None:
    """Write `state` in place of what `file` holds.

    Raises:
        DiskFull: the disk is full.
        DiskRefuses: the folder cannot be written.
    """
    from safetensors.torch import save_file

    about = json.dumps({**state.about, "format": FORMAT})
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in state.tensors.items()}
    with replacing(file) as partial:
        for left in file.parent.glob(f".{file.name}-*"):  # by a worker that was killed: only one trains this trial
            left.unlink(missing_ok=True)
        save_file(tensors, partial, {ABOUT: about, CHECKSUM: _checksum(about, tensors)})


def read_state(file: Path, origin: Mapping[str, Any]) -> TrainingState | None:
    """What `write_state` has written, on the CPU, if it is whole and has this origin; None otherwise."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            header = opened.metadata() or {}
            about = json.loads(header[ABOUT])
            if about["format"] != FORMAT or about["origin"] != json.loads(json.dumps(origin)):
                return None
            # Copies, because what a product of matrices rounds to can depend on how its tensors lie in memory.
            tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118  no mapping
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return TrainingState(about, tensors) if header.get(CHECKSUM) == _checksum(header[ABOUT], tensors) else None


def _checksum(about: str, tensors: Mapping[str, Tensor]) -> str:
    return digest(about, tensors_fingerprint(sorted(tensors.items())))
