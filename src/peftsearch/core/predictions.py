"""What a classifier said about every row of a split, from which each metric of it can be computed again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits and labels of one split, in the order of the split's own rows.

    Attributes:
        logits: shape (rows, classes).
        labels: the true classes, shape (rows,), in 0..classes - 1.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The class that each row was taken for, shape (rows,)."""
        predicted: NDArray[np.int64] = self.logits.argmax(axis=1)
        return predicted
