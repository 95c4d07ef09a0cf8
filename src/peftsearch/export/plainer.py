"""Which trial of a study is about as good as an exported one, and opens without code in its folder."""

from __future__ import annotations

import math

from peftsearch.confirm.confirmed import Confirmed
from peftsearch.confirm.statistics import Interval
from peftsearch.core.objectives import find_objective, quality_objective
from peftsearch.export.card.evidence import Evidence
from peftsearch.export.standard.forms import form_of
from peftsearch.results.formatting import objective_label
from peftsearch.results.front import Row
from peftsearch.training.checkpoint import Checkpoint

ABOUT_EQUAL = 0.005
"""Two validation scores nearer than this are called about equal, where the trials were not confirmed."""


def plainer_trial(kept: Checkpoint, evidence: Evidence) -> str | None:
    """One line on the best trial of about the same quality that needs no custom code, where the exported one does.

    Args:
        kept: the exported trial.
        evidence: what is known of its study.
    """
    own = next((row for row in evidence.rows if row.point == kept.point), None)
    if own is None or form_of(kept.config) in ("architecture", "tfidf"):
        return None
    for other in evidence.rows:  # best quality first
        gap = _gap(own, other, evidence) if other.record.feasible and _is_plain(other) else None
        if gap is not None:
            return _sentence(other, gap, objective_label(quality_objective(evidence.objectives)))
    return None


def _is_plain(row: Row) -> bool:
    config = row.config
    native = config.settings.get("head") == "native" and not config.trust_remote_code
    return native and form_of(config) == "architecture"


def _gap(own: Row, other: Row, evidence: Evidence) -> float | None:
    """By how much `other` is worse, negative if it is better; None if they are not about equal.

    Where both were confirmed, their means on the test split are compared, and the interval of `own` decides.
    """
    metric = quality_objective(evidence.objectives)
    mine, theirs = (_on_test(evidence.tested.get(row.point), metric) for row in (own, other))
    if mine and theirs and mine.low is not None:
        width, difference = mine.mean - mine.low, mine.mean - theirs.mean
    else:
        width, difference = ABOUT_EQUAL, own.objectives[metric] - other.objectives[metric]
    worse = difference if find_objective(metric).direction == "maximize" else -difference
    return worse if worse <= width else None


def _on_test(found: Confirmed | None, metric: str) -> Interval | None:
    return found.interval if found and found.metric == metric else None


def _sentence(row: Row, gap: float, quality: str) -> str:
    # Rounded up, so that the sentence is true of what was measured.
    within = f"is within {math.ceil(round(gap * 1000, 6)) / 1000:.3f} {quality}"
    words = within if gap > 0 else f"is at least as good in {quality}"
    option = f"--trial {row.point}" + ("" if row.kept else " --retrain")
    return f"{row.point.in_words} (head: native) {words} and opens without custom code; to export it: {option}"
