"""A new search that begins with what an earlier one of another study found best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from peftsearch.core.config import SEARCHABLE_TRAINING
from peftsearch.core.dimensions import Scalar, complaint, in_type_of
from peftsearch.core.errors import UserError
from peftsearch.core.secrets import hide_url
from peftsearch.methods.table import METHODS
from peftsearch.results.feasibility import why_no_front
from peftsearch.results.front import best_of_methods, best_of_trials
from peftsearch.results.open import open_results
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.confirm_queue import is_queue
from peftsearch.storage.database import open_storage
from peftsearch.study.conditions import is_active
from peftsearch.study.spec import StudySpec
from peftsearch.study.starting_points.baselines import Baseline
from peftsearch.study.suggest import baseline_config
from peftsearch.study.values import middle

if TYPE_CHECKING:
    from peftsearch.core.config import TrialConfig


def begun_like(spec: StudySpec, like: str, name: str, storage: str | None = None) -> StudySpec:
    """The study `spec`, which also tries first what an earlier study found best.

    These are the earlier study's front and the best trial of each of its methods, best quality first. They come after
    the methods that train no part of an encoder, whose defaults take seconds, and before all else. What trials share
    (data, epochs, batch size, …) is that of `spec`, and a backbone that `spec` does not have is replaced by the first
    one that the method tunes in it.

    Args:
        like: the name of a study whose trials are kept, or the URL of a database that holds one study.
        name: under which the trials of `spec` are kept.
        storage: the database of `spec`, if one is named. It is looked in first.

    Returns:
        The study with more starting points; its warnings say what has been left out and why.

    Raises:
        UserError: there is no such study, it has no trial to begin with, or `spec` can hold none of them.
    """
    stored = _opened(like, name, storage)
    rows = stored.points()
    best = best_of_methods(rows)
    chosen = best_of_trials([row for row in rows if row.record.feasible and (row.on_front or row in best)])
    if not chosen:
        why = why_no_front(stored.records())
        raise UserError(f"--like {hide_url(like)}: study {stored.name!r} has nothing to begin with: {why}")
    points: list[Baseline] = []
    left_out: list[str] = []
    for row in chosen:
        point = fitted(spec, row.config)
        if isinstance(point, str):
            left_out.append(f"trial {row.record.number} ({point})")
        else:
            points.append(point)
    if len(left_out) == len(chosen):
        raise UserError(f"--like {hide_url(like)}: this study can hold none of its best trials: {', '.join(left_out)}")
    notes = [f"of the best trials of {stored.name!r}, this study cannot hold {', '.join(left_out)}"] if left_out else []
    return replace(spec, baselines=with_first(spec, points), warnings=(*spec.warnings, *notes))


def with_first(spec: StudySpec, points: Sequence[Baseline]) -> tuple[Baseline, ...]:
    """The starting points of `spec`, with `points` after those that take seconds and before all others.

    None that `spec` has already is tried twice.
    """
    known = {baseline_config(spec, baseline).key() for baseline in spec.baselines}
    new: dict[str, Baseline] = {}
    for point in points:
        if (key := baseline_config(spec, point).key()) not in known:
            new.setdefault(key, point)
    cheap = len(list(takewhile(lambda point: _is_cheap(spec, point), spec.baselines)))
    return (*spec.baselines[:cheap], *new.values(), *spec.baselines[cheap:])


def _opened(like: str, name: str, storage: str | None) -> StoredStudy:
    """The trials of the earlier study."""
    try:
        if "://" in like:
            return open_stored(_only_study(like), like)
        if like == name:
            raise UserError("that is this study itself; name another one")
        if storage is not None and like in _names(storage):
            return open_stored(like, storage)
        return open_results(like)
    except UserError as error:
        raise UserError(f"--like {hide_url(like)}: {error}") from None


def _only_study(url: str) -> str:
    names = _names(url)
    if len(names) != 1:
        held = ", ".join(sorted(names)) or "none"
        raise UserError(f"a database is taken if it holds one study, but this one holds {held}; name the study")
    return names[0]


def _names(url: str) -> list[str]:
    """The names of the studies in a database."""
    import optuna

    return [name for name in optuna.get_all_study_names(open_storage(url)) if not is_queue(name)]


def _is_cheap(spec: StudySpec, point: Baseline) -> bool:
    """Whether a starting point is a method's default that trains no part of an encoder."""
    passes = METHODS[point.method].passes(point.settings, spec.training.epochs)
    return point.written is None and not point.learnt and passes <= 1


def fitted(spec: StudySpec, config: TrialConfig) -> Baseline | str:
    """A configuration of an earlier study as a starting point of `spec`; why `spec` cannot hold it, if so."""
    if config.method not in spec.methods:
        return f"method {config.method} is not searched"
    settings: dict[str, Scalar] = {}
    for name, dimension in spec.methods[config.method].items():
        if not is_active(METHODS[config.method], name, settings):
            settings[name] = middle(dimension)
            continue
        value = getattr(config.training, name) if name in SEARCHABLE_TRAINING else config.settings.get(name)
        problem = complaint(dimension, value)
        if value is None or problem:
            return f"{config.method} {name}: {problem or 'has no value'}"
        settings[name] = in_type_of(dimension, value)
    return Baseline(config.method, _backbone(spec, config), settings)


def _backbone(spec: StudySpec, config: TrialConfig) -> str:
    names = [backbone.name for backbone in spec.backbones if backbone.takes(config.method)]
    return config.backbone if config.backbone in names else names[0]
