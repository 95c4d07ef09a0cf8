"""How much each setting of a method decides the method's quality, where there are trials enough to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from peftsearch.study.suggest import METHOD

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from peftsearch.results.stored_study import StoredStudy

ENOUGH = 10
"""Finished trials of a method below which its importances are not computed. The number is a judgement: with fewer, the
trees of fANOVA split on chance."""

TREES_SEED = 0


@dataclass(frozen=True)
class MethodImportances:
    """The importances of one method's settings.

    Attributes:
        finished: how many of its trials have finished.
        shares: setting → share of the variance of the quality that it explains, largest first, which sum to 1; None if
            they cannot be computed.
        why_not: what the finished trials are that they cannot be; empty if they can.
    """

    method: str
    finished: int
    shares: Mapping[str, float] | None = None
    why_not: str = ""


def importances(stored: StoredStudy) -> list[MethodImportances]:
    """fANOVA over each method's own dimensions, with the finished trials of that method alone.

    Source: Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance" (2014).
    """
    from optuna.trial import TrialState

    methods: dict[str, list[FrozenTrial]] = {}
    for trial in stored.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if METHOD in trial.params:
            methods.setdefault(str(trial.params[METHOD]), []).append(trial)
    return [_of(stored, method, trials) for method, trials in sorted(methods.items())]


def _of(stored: StoredStudy, method: str, trials: Sequence[FrozenTrial]) -> MethodImportances:
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    place, prefix = stored.objectives.index(stored.quality), f"{method}."
    common = set.intersection(*(set(trial.params) for trial in trials))
    names = sorted(
        name for name in common if name.startswith(prefix) and len({trial.params[name] for trial in trials}) > 1
    )
    why_not = _why_not(trials, names, place)
    if why_not:
        return MethodImportances(method, len(trials), None, why_not)
    found = get_param_importances(
        stored.study,
        evaluator=FanovaImportanceEvaluator(seed=TREES_SEED),
        params=names,
        target=lambda trial: trial.values[place],
    )
    return MethodImportances(method, len(trials), {name.removeprefix(prefix): share for name, share in found.items()})


def _why_not(trials: Sequence[FrozenTrial], names: Sequence[str], place: int) -> str:
    if len(trials) < ENOUGH:
        return f"fewer than the {ENOUGH} that it takes"
    if not names:
        return "alike in all settings that were searched"
    return "equally good" if len({trial.values[place] for trial in trials}) == 1 else ""
