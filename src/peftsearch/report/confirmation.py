"""What confirming has found, for people and for programs: a table, sentences under it, and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from peftsearch.confirm.statistics import Difference, Spread
from peftsearch.confirm.summary import Confirmation, Confirmed
from peftsearch.core.objectives import find_objective
from peftsearch.report.fitted_table import FittedTable
from peftsearch.report.tables import trials_beginning
from peftsearch.results.formatting import count_in_words, objective_in_words, objective_label, searchable_settings
from peftsearch.storage.confirmations import SeedRun

if TYPE_CHECKING:
    from rich.console import RenderableType

    from peftsearch.confirm.run import ConfirmedRun


def confirmation_view(found: Confirmation) -> list[RenderableType]:
    """A heading, the table, and what it says in sentences."""
    if not found.rows:
        return [f"{found.study}: no trial has been confirmed yet"]
    count = f"{len(found.rows)} trial{'s' if len(found.rows) > 1 else ''}"
    heading = f"{found.study}: {count} trained again with other seeds, and measured on the test split"
    heading += f" ({found.test_rows:,} rows)" if found.test_rows else ""
    return [heading, confirmation_table(found), *sentences(found)]


def confirmation_table(found: Confirmation) -> FittedTable:
    """The confirmed trials, best mean on the test split first."""
    table, first = trials_beginning([row.config for row in found.rows])
    label = objective_label(found.metric)
    for heading in (f"{label}\nin the search", f"{label} on test\nmean ± sd", "seeds"):
        table.add_column(heading, "number")
    for heading in ("trainable\nparameters", "train time\nmean s"):
        table.add_column(heading, "number")
    for row in found.rows:
        table.add_row(
            *first.cells(row.record.number, row.config),
            objective_in_words(found.metric, row.searched),
            _spread_in_words(found.metric, row.test_spread),
            str(len(row.test)) if row.random else f"{len(row.test)} (deterministic)",
            count_in_words(row.measurement.trainable_parameters),
            "–" if row.train_seconds is None else objective_in_words("train_seconds", row.train_seconds),
        )
    return table


def sentences(found: Confirmation) -> Iterator[str]:
    """Say which trials cannot be told apart from the best, how optimistic the search's scores were, and what failed."""
    if found.measured:
        yield from _against_the_best(found.measured[0], found.measured[1:], found.metric)
        yield _optimism(found)
    for row in found.rows:
        for run in row.runs:
            if run.failure:
                yield f"trial {row.record.number}, seed {run.seed} failed: {_failure(run)}"


def _against_the_best(best: Confirmed, others: Sequence[Confirmed], metric: str) -> Iterator[str]:
    differences = [(row.record.number, row.behind(best)) for row in others]
    equal = [(n, d) for n, d in differences if d and d.told_apart is False]
    unknown = [n for n, d in differences if d is None or d.told_apart is None]
    how = "over the same seeds by Student's t-test"
    for number, difference in equal:
        yield (
            f"trial {number} cannot be told apart from trial {best.record.number}, the best on test, {how}: "
            f"difference {_interval(metric, difference)}"
        )
    if others and not equal and not unknown:
        yield f"trial {best.record.number} is better on test than the others here {how} (95 %)"
    if unknown:
        named = ", ".join(map(str, unknown))
        yield f"trial {best.record.number} cannot be compared with {named}: that takes 2 seeds or more; use --seeds"
    elif not others and best.random and len(best.test) < 2:
        yield "one seed does not show how far scores spread; use --seeds 2 or more"


def _optimism(found: Confirmation) -> str:
    """How much worse the test scores are than the scores of the search. Sampling error and seeds add to the optimism of
    selection, so a single trial may show either sign."""
    gaps, digits = list(found.optimism.values()), find_objective(found.metric).digits
    lower = sum(gaps) > 0
    amounts = gaps if lower else [-gap for gap in gaps]
    span = f" (from {min(amounts):.{digits}f} to {max(amounts):.{digits}f})" if len(gaps) > 1 else ""
    meaning = "choosing by them made them optimistic" if lower else "choosing by them did not make them optimistic"
    return (
        f"on test, {objective_label(found.metric)} is {sum(amounts) / len(gaps):.{digits}f} "
        f"{'worse' if lower else 'better'}{span} than the validation scores by which the trials were chosen: {meaning}"
    )


def confirmation_json(found: Confirmation) -> dict[str, Any]:
    """Everything that confirming has found, for programs."""
    best = found.measured[0] if found.measured else None
    return {
        "study": found.study,
        "metric": found.metric,
        "test_rows": found.test_rows,
        "opened": [asdict(opening) for opening in found.openings],
        "trials": [_row_json(row, best, found.optimism.get(row.record.number)) for row in found.rows],
        "notes": list(sentences(found)),
    }


def progress_line(done: ConfirmedRun, metric: str) -> str:
    """One line about a run that has just ended."""
    run, config = done.run, done.config
    heading = f"{done.place} of {done.total}: trial {run.trial} ({config.method}), seed {run.seed}"
    if run.test is None or run.measurement is None:
        return f"{heading} failed: {_failure(run)}"
    test, validation = (objective_in_words(metric, m[metric]) for m in (run.test.metrics, run.measurement.metrics))
    return f"{heading}: {objective_label(metric)} {test} on test, {validation} on validation, {run.seconds:.1f} s"


def _row_json(row: Confirmed, best: Confirmed | None, optimism: float | None) -> dict[str, Any]:
    behind = row.behind(best) if best and row is not best else None
    return {
        "trial": row.record.number,
        "method": row.config.method,
        "backbone": row.config.backbone,
        "params": searchable_settings(row.config),
        "random": row.random,
        "searched": row.searched,
        "test": asdict(row.test_spread) if row.test_spread else None,
        "validation": asdict(row.validation_spread) if row.validation_spread else None,
        "optimism": optimism,
        "behind_best": {**asdict(behind), "told_apart": behind.told_apart} if behind else None,
        "trainable_parameters": row.measurement.trainable_parameters,
        "train_seconds": row.train_seconds,
        "runs": [run.to_dict() for run in row.runs],
    }


def _spread_in_words(metric: str, found: Spread | None) -> str:
    if found is None:
        return "–"
    mean = objective_in_words(metric, found.mean)
    return mean if found.deviation is None else f"{mean} ± {objective_in_words(metric, found.deviation)}"


def _interval(metric: str, found: Difference) -> str:
    digits = find_objective(metric).digits
    return f"{found.mean:+.{digits}f}, 95 % interval {found.low:+.{digits}f} to {found.high:+.{digits}f}"


def _failure(run: SeedRun) -> str:
    assert run.failure is not None
    return f"{run.failure['kind']}: {run.failure['message']}"
