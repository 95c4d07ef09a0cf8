"""The recommendation of one trial: what was chosen among which trials, why, and what comes next to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from peftsearch.confirm.plan import default_points
from peftsearch.confirm.summary import confirmation
from peftsearch.core.calls.arguments import checked
from peftsearch.core.errors import UserError, nearest
from peftsearch.core.front.pareto import matches
from peftsearch.core.front.tolerance import Tolerance
from peftsearch.core.points import Point
from peftsearch.recommend.candidates import Candidate, Judged, as_searched, candidates, judged_by, values_of
from peftsearch.recommend.latency import measure_latency, with_latency
from peftsearch.recommend.limits import Limit, read_limits
from peftsearch.recommend.preferences import PREFERENCES, Preference
from peftsearch.results.open import Study, results_of
from peftsearch.results.stored_study import StoredStudy
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import load_study


@dataclass(frozen=True)
class Recommendation:
    """One trial of a study, or one as it was after an epoch.

    Attributes:
        study: the study's name in the storage.
        metric: the metric that is the quality.
        judged: the quantities in which the runner-up is compared.
        preference: what was preferred, one of `PREFERENCES`.
        chosen: the trial.
        reason: why it was chosen among those that fit, as a clause; empty if none fits.
        runner_up: the next choice, of another trial, that is better in some quantity; None if there is none.
        pool: from how many points it was chosen: the confirmed ones that fit, or else all that fit.
        finished: among how many points it was looked for.
        limits: what was asked for.
        timed: how many trials' latency was measured now.
        tolerance: within which two trials' values count as equal.
        by_validation: what would be chosen by validation scores alone, if the choice is a confirmed trial and this one
            is not.
        epochs: whether epochs of trials were among these points.
        in_default: whether `confirm` trains it again without being told its name.
    """

    study: str
    metric: str
    judged: tuple[str, ...]
    preference: str
    chosen: Candidate
    reason: str
    runner_up: Candidate | None
    pool: int
    finished: int
    limits: tuple[Limit, ...]
    timed: int = 0
    by_validation: Candidate | None = None
    tolerance: Tolerance = field(default_factory=dict)
    epochs: bool = False
    in_default: bool = True

    @property
    def missed(self) -> list[Limit]:
        """The limits that the trial misses; empty if it fits."""
        return _missed(self.chosen, self.limits)

    @property
    def fits(self) -> bool:
        """Whether the trial keeps every limit."""
        return not self.missed

    @property
    def confirmed(self) -> bool:
        """Whether the trial was trained with other seeds and measured on the test split."""
        return self.chosen.confirmed is not None

    @property
    def trial(self) -> int:
        """The trial's number."""
        return self.chosen.point.trial

    @property
    def point(self) -> Point:
        """What names the choice: the whole trial, or an epoch of it."""
        return self.chosen.point


@checked
def recommend_trial(
    study: Study | StoredStudy,
    *,
    max_parameters: float | str | None = None,
    max_train_seconds: float | None = None,
    max_latency_ms: float | None = None,
    max_size_mb: float | None = None,
    min_quality: float | None = None,
    prefer: str = "quality",
    storage: str | None = None,
    fork: str | None = None,
    overrides: Overrides | None = None,
) -> Recommendation:
    """Choose one trial of a study, with the reason and the runner-up.

    Scores on test and on validation are not one scale. If confirmed trials fit, one of them is chosen by its mean on
    test; with `prefer="quality"` it is the cheapest within one standard error of the best. Else it is chosen by its
    validation score among all finished trials and, where every epoch counts, all epochs; of what is equal, a whole
    trial is taken.

    Args:
        study: results that are open already, or a study as `open_results` takes it.
        max_parameters: the most trainable parameters, as a number or as `500k` or `1.5M`; or a share of those that full
            fine-tuning of the same backbone trains, as `1%`.
        max_train_seconds: the longest training time in seconds.
        max_latency_ms: the longest time that labelling one text may take, in milliseconds (95th percentile). Of trials
            that have not recorded it, it is measured now on the CPU if their weights are kept.
        max_size_mb: the most MiB that must be shipped beside a shared backbone.
        min_quality: the least value of the study's metric, or the greatest if it is an error.
        prefer: what counts among the trials that fit: `quality`, `small` (the fewest trainable parameters), `fast` (the
            shortest training time) or `knee` (nearest to the best of every objective, with costs on logarithmic axes).
        storage: as for `open_results`.
        fork: as for `open_results`.
        overrides: as for `open_results`.

    Returns:
        The trial; if none fits, the nearest one and the limits that it misses.

    Raises:
        UserError: no trial has finished or keeps the study's constraints, or an argument is wrong.

    Examples:
        >>> found = recommend_trial("quickstart", min_quality=0.01)
        >>> found.fits, found.confirmed
        (True, True)
        >>> recommend_trial("quickstart", max_latency_ms=60_000).timed > 0
        True
    """
    if prefer not in PREFERENCES:
        raise UserError(f"--prefer {prefer}: is not a preference; {nearest(prefer, PREFERENCES)}")
    written = {
        "max_parameters": max_parameters,
        "max_train_seconds": max_train_seconds,
        "max_latency_ms": max_latency_ms,
        "max_size_mb": max_size_mb,
        "min_quality": min_quality,
    }
    stored = results_of(study, storage, fork, overrides)
    stored.nonempty_front()
    found = confirmation(stored)
    limits = tuple(read_limits(written, found.metric))
    judged = judged_by(stored.objectives, found.metric, stored.tolerance)
    points = stored.points()
    known = candidates([row for row in points if row.record.feasible], found)
    if max_latency_ms is not None:
        spec = load_study(stored.name if isinstance(study, StoredStudy) else study, overrides)
        known = with_latency(known, limits, partial(measure_latency, stored, spec))
    chosen = choose(stored.name, known, limits, prefer, judged)
    in_default = chosen.point in {row.point for row in default_points(points)}
    return replace(chosen, epochs=stored.every_epoch, in_default=in_default)


def choose(
    study: str, known: Sequence[Candidate], limits: tuple[Limit, ...], prefer: str, judged: Judged
) -> Recommendation:
    """The recommendation from every point."""
    preference, timed = PREFERENCES[prefer], sum(candidate.timed_now for candidate in known)
    fitting = [candidate for candidate in known if not _missed(candidate, limits)]
    pool = [candidate for candidate in fitting if candidate.confirmed] or fitting
    if not pool:
        chosen = _nearest(known, limits, preference, judged)
        return Recommendation(
            study, judged.metric, judged.names, prefer, chosen, "", None, 0, len(known), limits, timed
        )
    ranking = preference.rank(pool, judged)
    chosen, *others = ranking.candidates
    return Recommendation(
        study=study,
        metric=judged.metric,
        judged=judged.names,
        preference=prefer,
        chosen=chosen,
        reason=ranking.reason,
        runner_up=_first_undominated(others, chosen, judged),
        pool=len(pool),
        finished=len(known),
        limits=limits,
        timed=timed,
        tolerance=judged.tolerance,
        by_validation=_by_validation(known, limits, preference, judged) if chosen.confirmed else None,
    )


def _missed(candidate: Candidate, limits: Sequence[Limit]) -> list[Limit]:
    return [limit for limit in limits if limit.missed_by(candidate.values)]


def _nearest(known: Sequence[Candidate], limits: Sequence[Limit], preference: Preference, judged: Judged) -> Candidate:
    """The trial whose worst miss is the least share of its limit; of equal ones a confirmed one, then the first."""
    kinds = ([c for c in known if c.confirmed], [c for c in known if not c.confirmed])
    ordered = [c for kind in kinds if kind for c in preference.rank(kind, judged).candidates]
    return min(ordered, key=lambda c: max(limit.miss(c.values.get(limit.quantity)) for limit in limits))


def _first_undominated(others: Sequence[Candidate], chosen: Candidate, judged: Judged) -> Candidate | None:
    """The first of another trial that is better than the choice in some quantity by more than the tolerance."""
    [best] = values_of([chosen], judged.names)
    others = [other for other in others if other.point.trial != chosen.point.trial]
    for other, values in zip(others, values_of(others, judged.names), strict=True):
        if not matches([best], values, judged.names, judged.tolerance).all():
            return other
    return None


def _by_validation(
    known: Sequence[Candidate], limits: Sequence[Limit], preference: Preference, judged: Judged
) -> Candidate | None:
    """The choice among the trials as the search measured them, if it was not confirmed."""
    searched = [replace(c, confirmed=None, values={**c.values, **as_searched(c.row, judged.metric)}) for c in known]
    fitting = [c for c in searched if not _missed(c, limits)]
    confirmed = {c.point for c in known if c.confirmed}
    first = preference.rank(fitting, judged).candidates[0] if fitting else None
    return None if first is None or first.point in confirmed else first
