"""The checkpoints of a front in a store that every machine reaches: brought there, and removed as on this machine's
disk.

A trial's checkpoints are uploaded before it is told, so that whatever is on the front is in the store even if the
machine goes away in the next moment. If the store does not take one, the trial is told all the same; the checkpoint
stays where it is, and the next worker on this machine brings it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from peftsearch.core.errors import StorageLost
from peftsearch.core.files.checksums import sealed_files
from peftsearch.core.files.disk import DiskFull
from peftsearch.core.files.locks import locked_if_free
from peftsearch.core.files.run_folder import TENSORS, RunFolder
from peftsearch.core.points import Point
from peftsearch.storage.artifacts.archive import packed
from peftsearch.storage.artifacts.listed import (
    MIMETYPE,
    Artifact,
    artifacts_of,
    on_trial,
    read_place,
    unsettled_artifacts,
    write_late,
    write_removed,
    write_unwritten,
)
from peftsearch.storage.artifacts.place import Store, reason
from peftsearch.storage.connection.looking import look_again, one_look
from peftsearch.storage.connection.patience import say_on_stderr
from peftsearch.storage.database import objective_names
from peftsearch.storage.kept.front_checkpoints import kept_points
from peftsearch.storage.kept.known_front import known_front
from peftsearch.storage.optuna_access import frozen_trial
from peftsearch.storage.points import points_of
from peftsearch.storage.records import Record
from peftsearch.storage.study_attributes import read_every_epoch
from peftsearch.storage.times.scale import on_scale, scale_of

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

LOCK = ".late.lock"
"""In the folder of weights: one process at a time brings what its machine still owes the store."""


class Shelf:
    """What a worker does with a store.

    Args:
        study: the study whose trials it trains.
        folder: the study's on this machine.
        store: where checkpoints are kept for all machines.
        say: takes a line about what could not be done; a worker's log by default.
    """

    def __init__(
        self, study: Study, folder: RunFolder, store: Store, say: Callable[[str], None] = say_on_stderr
    ) -> None:
        self._study = study
        self._weights = folder.weights
        self.store = store
        self._say = say
        self._mine: list[str] = []
        self._again = True

    @one_look()
    def keep(self, trial: Trial, ended: Record) -> None:
        """Upload the checkpoints of a trial that is about to be told, if they would be on the front.

        Args:
            ended: the trial as it will have ended, with the seconds that were measured.
        """
        objectives = objective_names(self._study)
        own = points_of([on_scale(ended, scale_of(self._study))], objectives, every_epoch=read_every_epoch(self._study))
        known = known_front(self._study, objectives)
        stays = kept_points([*known, *(point for point in own if point.feasible)], objectives)
        earlier = on_trial(frozen_trial(self._study, trial.number))  # of an attempt that was put back
        points = self._without_twin(ended, {point for point in stays if point.trial == trial.number})
        self._mine = []
        if not (earlier or points):
            return
        if (away := self._away(wait=True)) is None:
            self._withdraw([artifact.id for artifact in earlier])
        else:
            self._say(
                f"the weights of {(points or [ended.point])[0].in_words} are not in {self.store.place} yet ({away})"
            )
        brought = away is None and all(self._bring(point, trial) for point in points)
        if not brought:
            begun = {artifact.id for artifact in on_trial(frozen_trial(self._study, trial.number))}
            write_unwritten(trial, sorted(begun - set(self._mine)))

    def take_back(self) -> None:
        """Remove what `keep` has uploaded, since the trial was failed by another process meanwhile."""
        self._remove_written(self._mine)

    @one_look()
    def sweep(self) -> None:
        """Remove the checkpoints of trials that failed, and of points that have left the front; bring what is missing.

        What the store does not do now is left to the next sweep. The first one also removes again what was removed
        while it was being written: if the process that wrote it was killed afterwards, nobody else does.
        """
        objectives = objective_names(self._study)
        there = artifacts_of(self._study)  # first, or a trial that ends in between would have artifacts and no points
        known = known_front(self._study, objectives)
        stays = kept_points(known, objectives)
        front = [record for record in known if record.point in stays]
        serving = {name for record in front for name in names_of(record)}
        gone = [one for one in there if one.point not in serving or not (one.whole or one.late)]
        again = unsettled_artifacts(self._study) if self._again else ()
        if not (gone or again or superseded(there) or self._owed(front)):
            return
        if (away := self._away()) is not None:
            self._say(f"nothing is brought to {self.store.place}, or removed from it, for now ({away})")
            return
        self._again = False
        self._delete_unsettled(sorted(again))
        self._remove(gone)
        if self._owed(front):
            self._bring_late(front)
        self._remove(superseded(artifacts_of(self._study)))

    def _away(self, *, wait: bool = False) -> str | None:
        """Why the store is not where the study's weights are kept, in words; None if it is.

        A folder may be there and yet not be the one that was shared: it is not mounted, or was made anew. And another
        machine may have named another place since.

        Args:
            wait: whether to wait for a store that does not answer.
        """
        place = read_place(self._study)
        if place is None:
            return "the study keeps weights on each machine alone by now"
        look = partial(self.store.holds, place.marker)
        try:
            there = self.store.patiently(look) if wait else look()
        except Exception as error:  # each SDK has its own
            return reason(error)
        marked = f"what marks {place.name} as the study's place is not there: it is not mounted, or was made anew"
        return None if there else marked

    def _bring_late(self, front: Sequence[Record]) -> None:
        """Upload those checkpoints of the front that are here and not in the store: it was away, or is new."""
        with locked_if_free(self._weights / LOCK) as alone:  # else another process of this machine is at it
            look_again()  # another process of this machine may have brought them before the lock was free
            for point in self._owed(front) if alone else ():
                if not self._bring(point, None):
                    return

    def _owed(self, front: Sequence[Record]) -> list[Point]:
        there = {artifact.point for artifact in artifacts_of(self._study) if artifact.whole}
        owed = []
        for record in front:
            if not there.intersection(names_of(record)):
                owed += [name for name in names_of(record) if (self._weights / str(name) / TENSORS).is_file()][:1]
        return list(dict.fromkeys(owed))

    def _without_twin(self, ended: Record, points: Iterable[Point]) -> list[Point]:
        """Those of a trial's points that have a checkpoint; the whole trial gives way to its best epoch's, if that has
        the same tensors."""
        here = [point for point in points if (self._weights / str(point) / TENSORS).is_file()]
        whole, twin = names_of(ended)[0], names_of(ended)[-1]
        if {whole, twin} <= set(here) and whole != twin and self._tensors(whole) == self._tensors(twin):
            here.remove(whole)
        return sorted(here, key=lambda point: point.order)

    def _tensors(self, point: Point) -> tuple[str, int] | None:
        sealed = (sealed_files(self._weights / str(point)) or {}).get(TENSORS)
        return sealed and sealed[:2]

    def _bring(self, point: Point, trial: Trial | None) -> bool:
        """Upload one checkpoint and say whether that was done.

        Args:
            trial: the trial, if it has not ended: the artifact then stands on it.
        """
        from optuna.artifacts import upload_artifact
        from optuna.exceptions import UpdateFinishedTrialError

        self.store.waits = trial is not None  # what is late can wait for the next sweep
        try:
            with packed(self._weights / str(point)) as archive:
                uploaded = upload_artifact(
                    artifact_store=self.store,
                    file_path=str(archive),
                    study_or_trial=self._study if trial is None else trial,
                    mimetype=MIMETYPE,
                )
        except (StorageLost, UpdateFinishedTrialError):
            raise
        except DiskFull as full:
            self._say(f"the weights of {point.in_words} are not in {self.store.place} yet: {full}")
            return False
        except Exception as error:  # a trial is not lost because a store is away, whatever its SDK raises then
            self._say(f"the weights of {point.in_words} are not in {self.store.place} yet ({reason(error)})")
            return False
        if trial is not None:
            self._mine.append(uploaded)
        elif not write_late(self._study, uploaded):
            self._remove_written([uploaded])
        return True

    def _remove(self, artifacts: Sequence[Artifact]) -> None:
        self._remove_written([artifact.id for artifact in artifacts if artifact.whole])
        self._withdraw([artifact.id for artifact in artifacts if not artifact.whole])

    def _remove_written(self, ids: Sequence[str]) -> None:
        """Remove what nobody writes any more; what the store does not remove now is tried again."""
        write_removed(self._study, self._delete(ids))

    def _withdraw(self, ids: Sequence[str]) -> None:
        """Remove what another process may still be writing."""
        write_removed(self._study, ids, settled=False)
        self._delete_unsettled(ids)

    def _delete_unsettled(self, ids: Sequence[str]) -> None:
        self._again |= len(self._delete(ids)) < len(ids)

    def _delete(self, ids: Sequence[str]) -> list[str]:
        """Delete these artifacts in the store; returns those for which that was done."""
        done: list[str] = []
        for one in ids:
            try:
                self.store.remove(one)
            except Exception as error:  # the next sweep tries again
                self._say(f"{len(ids) - len(done)} files are not removed from {self.store.place} yet ({reason(error)})")
                break
            done.append(one)
        return done


def superseded(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Those that another machine is writing or a killed process has left, of points that others have whole.

    One reading of the study tells them, so of two machines that bring the same point only one removes the other's.
    """
    whole = {artifact.point for artifact in artifacts if artifact.whole}
    return [artifact for artifact in artifacts if not artifact.whole and artifact.point in whole]


def names_of(record: Record) -> tuple[Point, ...]:
    """The points whose checkpoints have the tensors of `record`: its own first, and a whole trial's best epoch."""
    best = record.measurement.best_epoch if record.epoch is None and record.measurement else 0
    return (record.point, Point(record.number, best)) if best else (record.point,)
