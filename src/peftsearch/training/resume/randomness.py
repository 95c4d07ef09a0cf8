"""The state of every random generator that training may draw from: Python's, NumPy's, torch's and the GPU's."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

CPU, GPU = "cpu", "gpu"


def numbers_of_generators() -> dict[str, Any]:
    """The states of Python's and NumPy's generators, as JSON data."""
    version, numbers, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {"python": [version, list(numbers), gauss], "numpy": [kind, np.asarray(keys).tolist(), *rest]}


def tensors_of_generators(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of torch's generators, as bytes."""
    states = {CPU: torch.get_rng_state()}
    return states | ({GPU: torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def set_generators(numbers: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Give every generator the state that the functions above have returned."""
    version, python, gauss = numbers["python"]
    random.setstate((version, tuple(python), gauss))
    kind, keys, *rest = numbers["numpy"]
    np.random.set_state((kind, np.asarray(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(tensors[CPU])
    if GPU in tensors:
        torch.cuda.set_rng_state(tensors[GPU], device)
