"""Reads a study file into a `StudySpec`, or reports all of the file's problems in one message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peftsearch.core.calls.arguments import checked
from peftsearch.core.config import SearchConfig, TrainingConfig
from peftsearch.core.constraints import Constraint
from peftsearch.core.errors import shown
from peftsearch.core.files.run_folder import STUDY_NAME
from peftsearch.core.front.tolerance import Tolerance
from peftsearch.core.objectives import directions_of, selection_metric
from peftsearch.data.section import DataSection
from peftsearch.methods.base import Method
from peftsearch.methods.table import METHODS
from peftsearch.study.catalogue import displayed, find_study, list_studies
from peftsearch.study.methods_section import Space, read_methods
from peftsearch.study.mistakes.keys import SECTIONS
from peftsearch.study.mistakes.problems import Problems
from peftsearch.study.overrides import Overrides
from peftsearch.study.sections import (
    Backbone,
    Origin,
    check_tuned,
    read_backbones,
    read_constraints,
    read_every_epoch,
    read_objectives,
    read_origin,
    read_search,
    read_tolerance,
    read_tracking,
    read_training,
)
from peftsearch.study.starting_points.baselines import Baseline, Vocabulary, read_baselines, tried_first
from peftsearch.study.starting_points.portfolio import portfolio_points
from peftsearch.study.validation import validated
from peftsearch.study.yaml_file import read_document, text_keys

__all__ = ["Backbone", "Baseline", "SearchConfig", "StudySpec", "list_studies", "load_study", "parse_study"]

REQUIRED = ("name", "data", "backbones", "methods")


@dataclass(frozen=True)
class StudySpec:
    """A valid study.

    Attributes:
        name: letters, digits, - and _, because it names the study's storage and folder.
        methods: the search space, with all dimensions of each method.
        baselines: the configurations that are tried first, in this order: those in the file, and the default settings
            of every method that these leave out (`study.starting_points.baselines.tried_first`), then the portfolio if
            it is asked for.
        constraints: bounds that a trial must keep to be on the front.
        tolerance: within which values of an objective count as equal on the front, where the file says so.
        every_epoch: whether every epoch of a trial counts as a point of the front.
        path: the study file; paths in `data` are relative to its folder.
        document: the YAML file's data with the overrides, as plain JSON; `parse_study` makes the same study of it.
        warnings: what is unusual but allowed, one line each.
        tracking: the trackers that get a run for each trial.
        origin: the trial that the file describes, if `export` has written it.
    """

    name: str
    goal: str
    data: DataSection
    backbones: tuple[Backbone, ...]
    training: TrainingConfig
    objectives: tuple[str, ...]
    methods: Mapping[str, Space]
    baselines: tuple[Baseline, ...]
    search: SearchConfig
    path: Path
    document: Mapping[str, Any] = field(repr=False, compare=False)
    warnings: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    tolerance: Tolerance = field(default_factory=dict)
    every_epoch: bool = True
    tracking: tuple[str, ...] = ()
    origin: Origin | None = None

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def measured(self) -> tuple[str, ...]:
        """The names of all that a trial must measure: the objectives, and those that only a constraint is on."""
        return tuple(dict.fromkeys((*self.objectives, *(constraint.objective for constraint in self.constraints))))

    @property
    def directions(self) -> tuple[str, ...]:
        """`maximize` or `minimize`, one for each objective."""
        return directions_of(self.objectives)

    @property
    def selection(self) -> str:
        """The validation metric that chooses a trial's best epoch."""
        return selection_metric(self.objectives)


@checked
def load_study(study: str | Path | StudySpec, overrides: Overrides | None = None) -> StudySpec:
    """Read and validate a study.

    Args:
        study: a name found in `./studies` or among the package's own studies, the path of a YAML file, or a study
            that is loaded already.
        overrides: other data, backbones or row limits for the same study.

    Returns:
        The valid study; `warnings` lists what is odd in it but allowed.

    Raises:
        UserError: there is no such study, or its file has problems: the message lists all of them, one line each.

    Examples:
        >>> spec = load_study("quickstart")
        >>> spec.name, "lora" in spec.methods
        ('quickstart', True)
    """
    if isinstance(study, StudySpec):
        return parse_study(overrides.apply(study.document), study.path) if overrides else study
    path = find_study(str(study))
    problems = Problems(displayed(path))
    document = read_document(path, problems)
    return parse_study(overrides.apply(document) if overrides else document, path, problems)


def parse_study(
    document: Any, path: Path, problems: Problems | None = None, table: Mapping[str, Method] = METHODS
) -> StudySpec:
    """The study that `document` describes.

    Args:
        document: what a YAML file holds.
        path: the file, for messages and relative paths.
        problems: what reading the file found already.
        table: the methods that a study may name.

    Raises:
        UserError: the document has problems, or `problems` holds some already.
    """
    problems = problems or Problems(displayed(path))
    if not isinstance(document, Mapping):
        problems.add((), f"must be a mapping with the keys {', '.join(REQUIRED)}, but got {shown(document)}")
        problems.raise_if_any()
    _check_keys(document, problems)
    name = _name(document, problems)
    data = None if document.get("data") is None else validated(DataSection, document["data"], problems, ("data",))
    backbones = read_backbones(document.get("backbones"), problems)
    training = read_training(document.get("training"), problems)
    objectives = read_objectives(document.get("objectives"), problems)
    constraints = read_constraints(document.get("constraints"), problems)
    tolerance = read_tolerance(document.get("tolerance"), objectives, problems)
    every_epoch = read_every_epoch(document.get("every_epoch"), problems)
    spaces = read_methods(document.get("methods"), table, problems)
    check_tuned(backbones, spaces, problems)
    known = Vocabulary(table, spaces, tuple(b for b in backbones if b.name))
    baselines = read_baselines(document.get("baselines"), known, problems)
    search = read_search(document.get("search"), problems)
    tracking = read_tracking(document.get("tracking"), problems)
    origin = read_origin(document.get("origin"), problems)
    problems.raise_if_any()
    assert data is not None  # otherwise there is a problem
    first = tried_first(known, baselines, training.epochs)
    return StudySpec(
        name=name,
        goal=str(document.get("goal") or ""),
        data=data,
        backbones=backbones,
        training=training,
        objectives=objectives,
        methods=known.spaces,
        baselines=first + (portfolio_points(known, first) if search.portfolio else ()),
        search=search,
        path=path,
        document=text_keys(document),
        warnings=tuple(problems.warnings),
        constraints=constraints,
        tolerance=tolerance,
        every_epoch=every_epoch,
        tracking=tracking,
        origin=origin,
    )


def _check_keys(document: Mapping[str, Any], problems: Problems) -> None:
    problems.unknown_keys(document, SECTIONS, ())
    for key in REQUIRED:
        if document.get(key) is None:
            problems.add((key,), "is missing")


def _name(document: Mapping[str, Any], problems: Problems) -> str:
    name = document.get("name")
    if name is not None and not (isinstance(name, str) and STUDY_NAME.fullmatch(name)):
        problems.add(("name",), f"may have letters, digits, - and _ only (it names files), but got {name!r}")
    return str(name)
