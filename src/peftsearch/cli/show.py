"""Commands that only look: status, trials, trial, front, studies, methods, check."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from peftsearch.cli.options import ChosenStudy, example, json_option, print_json, storage_options, stored, study_option
from peftsearch.cli.options import show as show_parts

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from peftsearch.methods.base import Hyperparameter, Method


@click.command(epilog=example("peftsearch status --study quickstart"))
@storage_options
@json_option
def status(study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool) -> None:
    """How far it is: counts by state and method, running trials, time left."""
    from peftsearch.results.tables import running_table, status_table, time_left

    results = stored(study, fork, storage)
    found = results.status()
    if as_json:
        print_json({"study": results.name, **found.to_dict()})
        return
    budget = f"{found.done} of {found.budget} trials done" if found.budget else f"{found.done} trials done"
    parts: list[RenderableType] = [
        f"{results.name}: {', '.join(part for part in (budget, time_left(found)) if part)}",
        status_table(found),
    ]
    if found.running:
        parts.append(running_table(found.running, results.quality))
    show_parts(*parts)


@click.command(epilog=example("peftsearch trials --study quickstart", "peftsearch trials --study quickstart --json"))
@storage_options
@json_option
def trials(study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool) -> None:
    """Every trial: settings, state, and why it was pruned or failed."""
    from peftsearch.results.front import full_trial_json
    from peftsearch.results.tables import trials_table

    results = stored(study, fork, storage)
    records = results.records()
    if as_json:
        print_json([full_trial_json(record, results.objectives) for record in records])
    else:
        show_parts(trials_table(records, results.objectives, results.quality))


@click.command(epilog=example("peftsearch trial 3 --study quickstart", "peftsearch trial 3 --study quickstart --json"))
@click.argument("number", metavar="N", type=click.IntRange(min=0))
@storage_options
@json_option
def trial(number: int, study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool) -> None:
    """One trial: settings, curve, every class, weights, what went wrong."""
    from peftsearch.results.trial import find_trial, kept_weights, trial_json, trial_view

    results = stored(study, fork, storage)
    record, weights = find_trial(results, number), kept_weights(results, number)
    if as_json:
        print_json(trial_json(record, results.objectives, weights))
    else:
        show_parts(*trial_view(record, results.objectives, weights))


@click.command(
    epilog=example(
        "peftsearch front --study quickstart",
        "peftsearch front --study quickstart --plot front.png",
        "peftsearch front --study quickstart --each-method",
    )
)
@storage_options
@json_option
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the front to a .png or .html file.")
@click.option("--each-method", is_flag=True, help="The best trial of each method instead, on the front or not.")
def front(
    study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool, plot: Path | None, each_method: bool
) -> None:
    """The Pareto front: what no other trial dominates, best quality first."""
    from peftsearch.results.front import best_of_methods, trial_json
    from peftsearch.results.views import front_view, methods_view

    results = stored(study, fork, storage)
    if plot or as_json:
        rows = results.rows()
    if plot:
        from peftsearch.results.figures import save_front

        save_front(rows, results.objectives, f"{results.name}: Pareto front of {len(rows)} finished trials", plot)
    if as_json:
        chosen = best_of_methods(rows) if each_method else [row for row in rows if row.on_front]
        print_json([trial_json(row.record, results.objectives) for row in chosen])
    else:
        show_parts(*(methods_view if each_method else front_view)(results))
    if plot:
        click.echo(f"drawn to {plot}", err=True)


@click.command(epilog=example("peftsearch studies"))
@json_option
def studies(as_json: bool) -> None:
    """The studies that --study finds by name, with their goals."""
    from rich.table import Table

    from peftsearch.api import list_studies

    found = list_studies()
    if as_json:
        print_json([{"name": name, "goal": goal, "path": str(path)} for name, goal, path in found])
        return
    table = Table("study", "goal", "file", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, goal, path in found:
        table.add_row(name, goal, str(path))
    show_parts(table)


@click.command(
    epilog=example("peftsearch methods", "peftsearch methods --backbone sentence-transformers/all-MiniLM-L6-v2")
)
@click.option("--backbone", metavar="NAME", help="Try each method on this model for a few steps, and say how it fares.")
@json_option
def methods(backbone: str | None, as_json: bool) -> None:
    """The tuning methods: what each is, what it can search, its paper."""
    if backbone is not None:
        _methods_on(backbone, as_json)
        return
    from rich.text import Text

    from peftsearch.methods.base import SHARED, TRAINING
    from peftsearch.methods.table import METHODS

    if as_json:
        print_json([_method_json(method) for method in METHODS.values()])
        return
    for method in METHODS.values():
        show_parts(Text(method.name, style="bold"), Text(f"  {method.summary}\n  paper: {method.paper}"))
        show_parts(_dimensions(method.own))
    show_parts("Every method also has, unless it says otherwise above:", _dimensions(SHARED))
    show_parts(f"and may search of the training section: {', '.join(TRAINING)}")


def _methods_on(backbone: str, as_json: bool) -> None:
    from dataclasses import asdict

    from rich.table import Table

    from peftsearch import api

    found = list(api.methods_on(backbone))
    if as_json:
        print_json([{**asdict(fitness), "works": fitness.why is None} for fitness in found])
        return
    table = Table("method", "works", "trains", "merges", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("parameters", justify="right")
    table.add_column("why not")
    for fitness in found:
        works = fitness.why is None
        marks = (_yes(fitness.trains), _yes(fitness.merges)) if works else ("", "")
        table.add_row(
            fitness.method, _yes(works), *marks, f"{fitness.parameters:,}" if works else "", fitness.why or ""
        )
    show_parts(table)


def _yes(mark: bool) -> str:
    return "yes" if mark else "no"


@click.command(epilog=example("peftsearch params --study quickstart", "peftsearch params --study agnews --classes 4"))
@study_option
@click.option("--classes", type=click.IntRange(2), help="How many labels.  [default: counted in the study's data]")
@json_option
def params(study: ChosenStudy, classes: int | None, as_json: bool) -> None:
    """Trainable parameters of a study's baselines, epoch by epoch where they change.

    Trains nothing; of a backbone the config.json is enough.
    """
    from rich.table import Table

    from peftsearch import api
    from peftsearch.results.tables import backbone_in_words, config_in_words

    found = api.baseline_parameters(study.load(), classes)
    if as_json:
        print_json([{"config": config.to_dict(), "trainable_parameters": counts} for config, counts in found])
        return
    table = Table("method", "backbone", "settings", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("trainable parameters", justify="right")
    for config, counts in found:
        changes = [count for i, count in enumerate(counts) if i == 0 or count != counts[i - 1]]
        words = " → ".join(f"{count:,}" for count in changes)
        table.add_row(config.method, backbone_in_words(config.backbone), config_in_words(config), words)
    show_parts(table)


def _dimensions(hyperparameters: Mapping[str, Hyperparameter]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from peftsearch.core.dimensions import describe

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
    for name, hyperparameter in hyperparameters.items():
        table.add_row(name, Text(describe(hyperparameter.default)), Text(hyperparameter.summary, style="dim"))
    return table


def _method_json(method: Method) -> dict[str, object]:
    from peftsearch.core.dimensions import describe

    dimensions = {
        name: {"default": describe(found.default), "valid": describe(found.valid), "summary": found.summary}
        for name, found in method.hyperparameters.items()
    }
    return {"name": method.name, "summary": method.summary, "paper": method.paper, "dimensions": dimensions}


@click.command(epilog=example("peftsearch check --study my-study.yaml"))
@study_option
@json_option
def check(study: ChosenStudy, as_json: bool) -> None:
    """Validate a study and its data, and say what would be searched.

    Trains nothing.
    """
    from peftsearch import api
    from peftsearch.data.describe import describe
    from peftsearch.results.preview import preview, preview_json
    from peftsearch.results.stored import RUNS

    spec = study.load()
    data = api.check_study(spec, RUNS / spec.name)
    described, lengths = describe(data), api.token_lengths(spec, data)
    if as_json:
        print_json(preview_json(spec, described, lengths))
    else:
        show_parts(*preview(spec, described, lengths))
