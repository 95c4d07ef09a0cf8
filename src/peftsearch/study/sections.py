"""The short sections of a study file: backbones, training, objectives, constraints, tolerance, search, and others."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import StrictBool, StringConstraints, ValidationInfo, field_validator

from peftsearch.core.config import STRICT, SearchConfig, TrainingConfig
from peftsearch.core.constraints import Constraint
from peftsearch.core.dimensions import Range, number
from peftsearch.core.errors import nearest, shown
from peftsearch.core.files.run_folder import STUDY_NAME
from peftsearch.core.front.tolerance import Tolerance, parse_tolerance
from peftsearch.core.objectives import complaint_about, find_objective, is_metric
from peftsearch.study.mistakes.problems import Problems, Where
from peftsearch.study.validation import validated
from peftsearch.tracking.table import TRACKERS

DEFAULT_OBJECTIVES = ("macro_f1", "trainable_parameters", "train_seconds")

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Backbone:
    """A pretrained encoder, by the name that `backbones.names.resolve` takes.

    Attributes:
        name: a folder, `package:IMPORT_NAME/FOLDER`, or a model of the hub. One that an installed package or the local
            cache holds is not fetched.
        revision: the commit on the hub; without it the newest one is used.
        trust_remote_code: whether the model may bring its own code, which needs a pinned `revision`.
        max_length: tokens per text, if not those of `data.max_length`.
        methods: the methods that tune it, if not all of the study's.
        tokenizer: the model whose tokenizer reads the texts, if not the backbone's own.
        tokenizer_revision: the commit of `tokenizer` on the hub.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    revision: str | None = None
    trust_remote_code: StrictBool = False
    max_length: Annotated[int, Range(4, 1_000_000, integer=True)] | None = None
    methods: tuple[str, ...] | None = None
    tokenizer: str | None = None
    tokenizer_revision: str | None = None

    @field_validator("trust_remote_code")
    @classmethod
    def _needs_a_commit(cls, trust: bool, info: ValidationInfo) -> bool:
        revision = info.data.get("revision")
        if trust and not COMMIT.fullmatch(str(revision)):
            raise ValueError(f"needs 'revision' to be a commit of 40 hex digits, but got {revision!r}")
        return trust

    @field_validator("tokenizer_revision")
    @classmethod
    def _needs_a_tokenizer(cls, revision: str | None, info: ValidationInfo) -> str | None:
        if revision is not None and info.data.get("tokenizer", "") is None:
            raise ValueError("pins nothing without 'tokenizer'; revision: pins the backbone's own")
        return revision

    def takes(self, method: str) -> bool:
        """Whether the study tunes this backbone by `method`."""
        return self.methods is None or method in self.methods


@dataclass(frozen=True)
class Origin:
    """Which trial a file describes that leaves nothing to search: the `origin:` section, which `export` writes.

    Attributes:
        study: the study's name in its storage.
        trial: the trial's number.
        state: how the trial ended.
        metric: the validation metric by which the best epoch was chosen.
        score: the best epoch's value of that metric.
        best_epoch: the epoch whose weights were kept; 1 for the first.
        epochs: how many epochs the trial has run.
        out_of_time: whether the search's time limit ended it after `epochs`, where training it again ends too.
        epoch: the epoch after which training ends, under the schedule of all, and whose weights are taken.
        fingerprint: the fingerprint of the data.
        exact: whether the search did without the speed-ups that change results.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

    study: str | None = None
    trial: Annotated[int, Range(0, 2**31, integer=True)] | None = None
    state: str | None = None
    metric: str | None = None
    score: Annotated[float, Range(-1e9, 1e9)] | None = None
    best_epoch: Annotated[int, Range(1, 10_000, integer=True)] | None = None
    epochs: Annotated[int, Range(0, 10_000, integer=True)] | None = None
    fingerprint: str | None = None
    exact: StrictBool = False
    out_of_time: StrictBool = False
    epoch: Annotated[int, Range(1, 10_000, integer=True)] | None = None

    @field_validator("study")
    @classmethod
    def _names_files(cls, study: str | None) -> str | None:
        if study is not None and not STUDY_NAME.fullmatch(study):
            raise ValueError(f"may have letters, digits, - and _ only (it names files), but got {study!r}")
        return study


def read_origin(raw: Any, problems: Problems) -> Origin | None:
    """The `origin:` section, if there is one."""
    return None if raw is None else validated(Origin, raw, problems, ("origin",))


def mapping(raw: Any, problems: Problems, where: Where) -> Mapping[str, Any]:
    """`raw` if it is a mapping. A section without content counts as an empty one; anything else is a problem."""
    if raw is not None and not isinstance(raw, Mapping):
        problems.add(where, f"must be a mapping, but got {shown(raw)}")
    return raw if isinstance(raw, Mapping) else {}


def sequence(raw: Any, example: str, problems: Problems, where: Where) -> list[Any]:
    """`raw` if it is a list; anything else is a problem."""
    if not isinstance(raw, list):
        problems.add(where, f"must be a list like {example}, but got {shown(raw)}")
        return []
    return raw


def read_training(raw: Any, problems: Problems) -> TrainingConfig:
    """The `training:` section; what it leaves out has `TrainingConfig`'s defaults."""
    return validated(TrainingConfig, {} if raw is None else raw, problems, ("training",)) or TrainingConfig()


def read_search(raw: Any, problems: Problems) -> SearchConfig:
    """The `search:` section; what it leaves out has `SearchConfig`'s defaults."""
    return validated(SearchConfig, {} if raw is None else raw, problems, ("search",)) or SearchConfig()


def read_tracking(raw: Any, problems: Problems) -> tuple[str, ...]:
    """The `tracking:` section: names of `TRACKERS`, each once."""
    names = [] if raw is None else [str(name) for name in sequence(raw, "[tensorboard]", problems, ("tracking",))]
    for i, name in enumerate(names):
        if name not in TRACKERS:
            problems.add(("tracking", i), f"no tracker {name!r}; {nearest(name, TRACKERS)}")
        if name in names[:i]:
            problems.add(("tracking", i), f"{name!r} is written twice; keep one")
    return tuple(names)


def read_objectives(raw: Any, problems: Problems) -> tuple[str, ...]:
    """The `objectives:` section: names of `OBJECTIVES` or `evaluate:NAME`, each once."""
    if raw is None:
        return DEFAULT_OBJECTIVES
    names = [str(name) for name in sequence(raw, "[macro_f1, train_seconds]", problems, ("objectives",))]
    if raw == []:
        problems.add(("objectives",), "is empty; name at least one")
    for i, name in enumerate(names):
        complaint = complaint_about(name)
        if complaint:
            problems.add(("objectives", i), complaint)
        if name in names[:i]:
            problems.add(("objectives", i), f"{name!r} is written twice; keep one")
    return tuple(names)


def read_constraints(raw: Any, problems: Problems) -> tuple[Constraint, ...]:
    """The `constraints:` section: objective → bound; an upper one for what is minimised, else a lower one."""
    found = []
    for name, written in mapping(raw, problems, ("constraints",)).items():
        bound, where = number(written), ("constraints", str(name))
        complaint = complaint_about(str(name))
        if complaint:
            problems.add(where, complaint)
        elif isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
            problems.add(where, f"must be a number, but got {shown(written)}")
        elif complaint := _unreachable(str(name), bound):
            problems.add(where, complaint)
        else:
            found.append(Constraint(str(name), float(bound)))
    return tuple(found)


def read_tolerance(raw: Any, objectives: Sequence[str], problems: Problems) -> Tolerance:
    """The `tolerance:` section: objective → by how much two values of it may differ and count as equal, or `none`."""
    found, complaints = parse_tolerance(raw, objectives)
    for name, complaint in complaints.items():
        problems.add(("tolerance", name) if name else ("tolerance",), complaint)
    return found


def read_every_epoch(raw: Any, problems: Problems) -> bool:
    """The key `every_epoch:`; true where the file does not say."""
    if raw is not None and not isinstance(raw, bool):
        problems.add(("every_epoch",), f"must be true or false, but got {shown(raw)}")
    return raw is not False


def _unreachable(name: str, bound: float) -> str | None:
    """Why no trial can keep this bound, or none can break it; None if that depends on the trial."""
    objective = find_objective(name)
    if objective.bounds:
        low, high = objective.bounds
        inside, least = low < bound <= high, f"above {low:g} and at most {high:g}"
        return None if inside else f"must be {least}, but got {bound:g}; a trial has {low:g}..{high:g}"
    if not is_metric(name) and (bound < 0 or (bound == 0 and objective.known != "start")):
        return f"must be above 0, but got {bound:g}; no trial has less"
    return None


def read_backbones(raw: Any, problems: Problems) -> tuple[Backbone, ...]:
    """The `backbones:` section: names, or mappings with the fields of `Backbone`.

    A backbone with a problem is kept by its name, so that baselines may mention it. The caller reports a missing
    section.
    """
    where: Where = ("backbones",)
    if raw is None:
        return ()
    items = sequence(raw, "[sentence-transformers/all-MiniLM-L6-v2]", problems, where)
    if raw == []:
        problems.add(where, "is empty; name at least one model")
    found: list[Backbone] = []
    for i, item in enumerate(items):
        backbone = _backbone(item, problems, (*where, i))
        if backbone and backbone.name in {other.name for other in found}:
            problems.add((*where, i), f"{backbone.name!r} is written twice; keep one")
        found += [backbone] if backbone else []
    return tuple(found)


def check_tuned(backbones: Sequence[Backbone], methods: Collection[str], problems: Problems) -> None:
    """A problem for each of a backbone's `methods` that the study lacks, and for each method without a backbone."""
    for i, backbone in enumerate(backbones):
        for j, method in enumerate(backbone.methods or ()):
            if method not in methods:
                problems.add(("backbones", i, "methods", j), f"no method {method!r} here; {nearest(method, methods)}")
    for method in methods:
        if backbones and not any(backbone.takes(method) for backbone in backbones):
            problems.add(("methods", method), "tunes no backbone; add it to the methods of one")


def _backbone(raw: Any, problems: Problems, where: Where) -> Backbone | None:
    """The backbone that is written as `raw`; only its name if something else is wrong, None if the name is."""
    if not isinstance(raw, str | Mapping):
        problems.add(where, f"must be a model's name or {{name: …, revision: …}}, but got {shown(raw)}")
        return None
    written = {"name": raw} if isinstance(raw, str) else raw
    name = written.get("name")
    backbone = validated(Backbone, written, problems, where)
    return backbone or (Backbone(name.strip()) if isinstance(name, str) and name.strip() else None)
