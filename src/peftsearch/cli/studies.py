"""Commands about a study before anything is trained: studies, params, check."""

from __future__ import annotations

from dataclasses import replace

import click

from peftsearch.cli.shared.options import ChosenStudy, example, json_option, storage_option, study_option
from peftsearch.cli.shared.output import print_json, show
from peftsearch.cli.shared.parsing import WholeNumber


@click.command(epilog=example("peftsearch studies"))
@storage_option
@json_option
def studies(storage: str | None, as_json: bool) -> None:
    """List the studies that --study finds by name.

    Each is shown with its goal, and with how far its search is. These are the studies in ./studies, the package's own
    studies, and those whose trials are kept in ./runs or in the database that --storage names.
    """
    from peftsearch.api import list_studies
    from peftsearch.report.lists import studies_table
    from peftsearch.results.kept import kept_studies

    found, kept = list_studies(), {study.name: study for study in kept_studies(storage)}
    if not as_json:
        show(studies_table(found, kept))
        return
    listed = {study.name: (study.goal, study.file) for study in kept.values()}
    listed |= {name: (goal, str(path)) for name, goal, path in found}
    states = {name: study.to_dict() for name, study in kept.items()}
    print_json(
        [
            {"name": name, "goal": goal, "path": path, "kept": states.get(name)}
            for name, (goal, path) in sorted(listed.items())
        ]
    )


@click.command(epilog=example("peftsearch params --study quickstart", "peftsearch params --study agnews --classes 4"))
@study_option
@click.option("--classes", type=WholeNumber(2), help="The number of labels.  [default: counted in the study's data]")
@json_option
def params(study: ChosenStudy, classes: int | None, as_json: bool) -> None:
    """Count the trainable parameters of a search's first trials.

    These are the study's baselines, each other method at its default settings, and the configurations that recorded
    learning curves have taught. The parameters are counted in each epoch, and shown where they change. Nothing is
    trained, and a backbone's config.json is enough.
    """
    from peftsearch.optimize.preview import baseline_parameters
    from peftsearch.report.lists import parameters_table

    found = baseline_parameters(study.load(), classes)
    if as_json:
        print_json([{"config": config.to_dict(), "trainable_parameters": counts} for config, counts in found])
    else:
        show(parameters_table(found))


@click.command(epilog=example("peftsearch check --study my-study.yaml"))
@study_option
@json_option
def check(study: ChosenStudy, as_json: bool) -> None:
    """Validate a study and its data, and say what would be searched.

    Nothing is trained.
    """
    from peftsearch import api
    from peftsearch.data.describe import describe_data
    from peftsearch.optimize.number_format import format_notes
    from peftsearch.optimize.preview import token_lengths, untrained_baselines
    from peftsearch.report.study_preview import study_preview, study_preview_json

    spec = study.load()
    spec = replace(spec, warnings=(*spec.warnings, *format_notes(spec.training.precision)))
    data = api.check_study(spec)
    described, lengths = describe_data(data), token_lengths(spec, data)
    untrained = untrained_baselines(spec, len(data.labels))
    if as_json:
        print_json(study_preview_json(spec, described, lengths, untrained))
    else:
        show(*study_preview(spec, described, lengths, untrained))
