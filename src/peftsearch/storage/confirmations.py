"""What confirming leaves in the storage: the runs with other seeds, and when the test split was opened.

Both are attributes of the study, since Optuna takes none of a trial that has ended. Each run and each opening has an
attribute of its own, so that none grows large, and none is lost where two processes write at the same moment.
"""

from __future__ import annotations

import base64
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from peftsearch.core.measurement import Measurement, SplitScores
from peftsearch.core.points import Point, parse_point

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.study import Study

    from peftsearch.core.predictions import Predictions

RUN, OPENED = "confirmed:", "test_opened:"
"""`confirmed:TRIAL:SEED` is one run, with `7@3` in the place of TRIAL where an epoch is confirmed;
`test_opened:TIME:TOKEN` is one opening of the test split."""

EARLIER_OPENINGS = "test_opened"
"""The list of openings that earlier versions have kept."""


@dataclass(frozen=True)
class RowClasses:
    """The true and the predicted class of every test row, compressed: intervals need no more, wherever the storage is.

    Attributes:
        labels: the true classes in the order of the split: 32-bit integers, compressed by zlib, in base64.
        predicted: the predicted classes in the same form.
    """

    labels: str
    predicted: str

    @classmethod
    def of(cls, predictions: Predictions) -> RowClasses:
        return cls(_packed(predictions.labels), _packed(predictions.predicted))

    def arrays(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """True and predicted classes, both of shape (rows,)."""
        return _unpacked(self.labels), _unpacked(self.predicted)


@dataclass(frozen=True)
class SeedRun:
    """The configuration of a point, trained once more with another seed.

    Attributes:
        trial: the number of the trial, or `confirm_queue.REFERENCE`.
        measurement: on the validation split; None if it failed.
        test: the same classifier on the test split; None if it failed.
        seconds: from loading to the last metric.
        ended: ISO 8601, in UTC.
        failure: `kind` and `message`, if it failed.
        rows: what the classifier said about each test row; runs of earlier versions have not kept it.
        alone: whether no other run was trained at the same time; as all runs of earlier versions were.
        epoch: the epoch that ended it and whose weights were measured; None for a whole trial.
    """

    trial: int
    seed: int
    seconds: float
    ended: str
    measurement: Measurement | None = None
    test: SplitScores | None = None
    failure: Mapping[str, str] | None = None
    rows: RowClasses | None = None
    alone: bool = True
    epoch: int | None = None

    @property
    def point(self) -> Point:
        """The point that was confirmed."""
        return Point(self.trial, self.epoch)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SeedRun:
        measurement, test, rows = data.get("measurement"), data.get("test"), data.get("rows")
        read = {
            "measurement": Measurement.from_dict(measurement) if measurement else None,
            "test": SplitScores.from_dict(test) if test else None,
            "rows": RowClasses(**rows) if rows else None,
        }
        return cls(**{**data, **read})


@dataclass(frozen=True)
class Opening:
    """One time that the test split was opened: when (ISO 8601, in UTC), and for which points."""

    when: str
    points: tuple[Point, ...]

    @property
    def trials(self) -> tuple[int, ...]:
        """The numbers of their trials."""
        return tuple(point.trial for point in self.points)

    def to_dict(self) -> dict[str, Any]:
        return {"when": self.when, "trials": [point.as_json for point in self.points]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Opening:
        """Read `to_dict`; earlier versions have written numbers of trials only."""
        found = (parse_point(str(written)) for written in data["trials"])
        return cls(data["when"], tuple(point for point in found if point))


def write_run(study: Study, run: SeedRun) -> None:
    """Write one run; an earlier one of the same point and seed is replaced."""
    study.set_user_attr(f"{RUN}{run.point}:{run.seed}", run.to_dict())


def read_runs(study: Study) -> list[SeedRun]:
    """Every run that was written, ordered by point and seed."""
    found = [SeedRun.from_dict(raw) for name, raw in study.user_attrs.items() if name.startswith(RUN)]
    return sorted(found, key=lambda run: (run.point.order, run.seed))


def write_opening(study: Study, points: Sequence[Point]) -> None:
    """Write that the test split is opened now, for these points."""
    name = f"{OPENED}{datetime.now(UTC).isoformat(timespec='microseconds')}:{secrets.token_hex(4)}"
    study.set_user_attr(name, Opening(now(), tuple(points)).to_dict())


def read_openings(study: Study) -> list[Opening]:
    """Every time that the test split was opened, the first one first."""
    attributes = study.user_attrs
    by_time = sorted(name for name in attributes if name.startswith(OPENED))
    raw = [*attributes.get(EARLIER_OPENINGS, ()), *(attributes[name] for name in by_time)]
    return [Opening.from_dict(one) for one in raw]


def now() -> str:
    """The time in UTC, as ISO 8601 with whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _packed(classes: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(classes.astype("<i4").tobytes(), 9)).decode("ascii")


def _unpacked(text: str) -> NDArray[Any]:
    import numpy as np

    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<i4").astype(np.int64)
