"""A recommendation in words, for people, and as data, for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from peftsearch.core.front.tolerance import margins_of
from peftsearch.core.objectives import find_objective, is_metric
from peftsearch.recommend.candidates import Candidate
from peftsearch.recommend.limits import SHARE
from peftsearch.recommend.recommendation import Recommendation
from peftsearch.results.formatting import (
    config_in_words,
    objective_in_words,
    objective_label,
    objective_with_unit,
    percent,
    searchable_settings,
)

SAME = 0.01
"""Costs that differ by less than this share are not told apart in words."""


def heading(found: Recommendation) -> str:
    """The trial, or that none fits."""
    named = _named(found.chosen)
    if found.fits:
        return f"{found.study}: take {named}"
    return f"{found.study}: none of {found.finished} {_noun(found)} fits; the nearest is {named}"


def sentences(found: Recommendation) -> Iterator[str]:
    """What the trial reached, why it was chosen, what it misses, what the runner-up would trade, and what is unsure."""
    yield _reached(found)
    for limit in found.missed:
        yield f"it misses {limit.in_words(found.chosen.values.get(limit.quantity))}"
    if found.fits:
        yield _why(found)
        yield _runner_up(found)
    if found.timed:
        those = (
            f"for {found.timed} of {found.finished} {_noun(found).removeprefix('finished ')}, whose weights are kept"
        )
        yield f"latency was measured now, on this machine's CPU, {those}"
    if not found.confirmed:
        yield "not confirmed: its scores are of one seed, on the rows by which it was chosen"
    if found.by_validation:
        point, named = found.by_validation.point, _named(found.by_validation)
        again = f"to compare it on test: peftsearch confirm --study {found.study} --trial {point}"
        yield f"by the search alone it would be {named}, which is not confirmed; {again}"


def next_command(found: Recommendation, options: str) -> str | None:
    """What to do with the recommendation: confirm it or, if that is done, take it away. None if no trial fits.

    Args:
        options: those that name the study.
    """
    if not found.fits:
        return None
    if found.confirmed:
        again = "" if found.chosen.row.kept else " --retrain"
        return f"peftsearch export {options} --trial {found.point}{again} --out DIR"
    return f"peftsearch confirm {options}{'' if found.in_default else f' --trial {found.point}'}"


def recommendation_json(found: Recommendation) -> dict[str, Any]:
    """The recommendation for programs."""
    return {
        "study": found.study,
        "metric": found.metric,
        "prefer": found.preference,
        "fits": found.fits,
        "confirmed": found.confirmed,
        "trial": _candidate_json(found.chosen),
        "reason": found.reason or None,
        "runner_up": _candidate_json(found.runner_up) if found.runner_up else None,
        "chosen_from": found.pool,
        "missed": [
            {**asdict(limit), "value": (value := found.chosen.values.get(limit.quantity)), "miss": limit.miss(value)}
            for limit in found.missed
        ],
        "by_validation": found.by_validation.point.as_json if found.by_validation else None,
        "notes": list(sentences(found)),
    }


def trade(other: Candidate, chosen: Candidate, metric: str, judged: Sequence[str]) -> str:
    """What taking `other` instead of `chosen` would change, as clauses after "it".

    For example `would give up 0.0040 macro F1, trains 4.5 % as many parameters and takes 32 % as much train time`.
    """
    clauses = [_quality(metric, other.values[metric] - chosen.values[metric])]
    clauses += [
        clause
        for name in judged
        if name != metric and (clause := _change(name, other.values[name], chosen.values[name]))
    ]
    return " and ".join([", ".join(clauses[:-1]), clauses[-1]] if len(clauses) > 1 else clauses)


def _named(candidate: Candidate) -> str:
    settings = config_in_words(candidate.config)
    return f"{candidate.point.in_words}, {candidate.config.method}" + (f" ({settings})" if settings else "")


def _reached(found: Recommendation) -> str:
    """The quality with its interval and where it was measured, and the costs."""
    chosen, parts = found.chosen, []
    searched = chosen.row.measurement if chosen.confirmed is None else None  # confirmed seconds are those of one device
    for name in (*found.judged, *_limited(found)):
        words = objective_with_unit(name, chosen.values[name], searched)
        if name == found.metric:
            words = f"{words} {chosen.measured_on}{_interval(chosen, found.metric)}"
        elif name == "trainable_parameters":
            words = f"{words} ({percent(chosen.values[SHARE])} of full fine-tuning's)"
        parts.append(words)
    return ", ".join(parts)


def _limited(found: Recommendation) -> list[str]:
    """The limited quantities by which trials are not judged anyway, where the trial's are known."""
    names = (limit.quantity for limit in found.limits)
    return [name for name in names if name in found.chosen.values and name not in (*found.judged, SHARE)]


def _interval(chosen: Candidate, metric: str) -> str:
    """The interval of a confirmed trial's score, and over how many seeds it was measured."""
    row, digits = chosen.confirmed, find_objective(metric).digits
    if row is None:
        return ""
    notes = [f"{len(row.test)} seed{'' if len(row.test) == 1 else 's'}"] if row.random else []
    if row.interval and row.interval.low is not None and row.interval.high is not None:
        notes.insert(0, f"95 % interval {row.interval.low:.{digits}f} to {row.interval.high:.{digits}f}")
    return f" ({', '.join(notes)})" if notes else ""


def _why(found: Recommendation) -> str:
    if found.pool == 1:
        return f"why: it is the only {_kind(found, 1)}"
    return f"why: of {found.pool} {_kind(found, found.pool)}, {found.reason}"


def _runner_up(found: Recommendation) -> str:
    other, names = found.runner_up, (*found.judged, *_limited(found))
    if other:
        return f"runner-up: {_named(other)} {trade(other, found.chosen, found.metric, names)}"
    if found.pool == 1:
        return f"runner-up: none, since there is no other {_kind(found, 1)}"
    beyond = " by more than the tolerance" if margins_of(found.judged, found.tolerance) else ""
    return f"runner-up: none, since no other {_kind(found, 1)} is better in anything{beyond}"


def _kind(found: Recommendation, count: int) -> str:
    """`confirmed trials that fit` and the like."""
    one = count == 1
    fitting = (" that fits" if one else " that fit") if found.limits else ""
    if found.confirmed:
        return f"confirmed trial{'' if one else 's'}{fitting}"
    if one:
        return f"{'trial or epoch' if found.epochs else 'finished trial'}{fitting}"
    return f"{_noun(found)}{fitting}"


def _noun(found: Recommendation) -> str:
    """What a choice was made from."""
    return "trials and epochs" if found.epochs else "finished trials"


def _quality(metric: str, difference: float) -> str:
    digits, sign = find_objective(metric).digits, 1 if find_objective(metric).direction == "maximize" else -1
    amount = f"{abs(difference):.{digits}f}"
    if float(amount) == 0:
        return f"has the same {objective_label(metric)}"
    return f"would {'gain' if sign * difference > 0 else 'give up'} {amount} {objective_label(metric)}"


def _change(name: str, value: float, chosen: float) -> str:
    """How a quantity changes; empty if it hardly does."""
    verb, noun = "takes" if name.endswith("_seconds") else "has", objective_label(name)
    if name == "trainable_parameters":
        verb, noun = "trains", "parameters"
    less = "fewer" if name == "trainable_parameters" else "less"
    if is_metric(name) or min(value, chosen) <= 0:
        words = objective_in_words(name, value)
        return "" if words == objective_in_words(name, chosen) else f"{verb} {words} {noun}"
    ratio = value / chosen
    if abs(ratio - 1) < SAME:
        return ""
    if ratio >= 2 or ratio <= 0.5:
        times = f"{_factor(ratio)} times" if ratio >= 2 else percent(ratio)
        return f"{verb} {times} as {'many' if less == 'fewer' else 'much'} {noun}"
    if ratio > 1:
        return f"{verb} {percent(ratio - 1)} more {noun}"
    return f"{verb} {percent(1 - ratio)} {less} {noun}"


def _factor(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _candidate_json(candidate: Candidate) -> dict[str, Any]:
    return {
        "trial": candidate.point.trial,
        "epoch": candidate.point.epoch,
        "method": candidate.config.method,
        "backbone": candidate.config.backbone,
        "params": searchable_settings(candidate.config),
        "confirmed": candidate.confirmed is not None,
        "values": dict(candidate.values),
    }
