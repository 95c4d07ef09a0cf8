"""What the trials so far let expect of other configurations, and which of these promises most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peftsearch.core.constraints import Constraint
from peftsearch.core.front.pareto import Array
from peftsearch.core.objectives import quality_objective
from peftsearch.search.ehvi.counting import Count
from peftsearch.search.ehvi.encoding import Encoding, Points, joined
from peftsearch.search.ehvi.gaussian_process import Distances, GaussianProcess, distances
from peftsearch.search.ehvi.improvement import SURE, Boxes, expected_improvement, open_boxes
from peftsearch.search.ehvi.observations import Scale, observed, scale_of
from peftsearch.storage.points import epochs_of
from peftsearch.storage.records import Record

DRAWN, NEAR, GOOD = 64, 32, 3
"""Candidates of a method: so many drawn at random, and so many near so many of its best trials."""

COUNTED = 32
"""The parameters of so many candidates at most are counted for a proposal."""

MARGIN = 0.1
"""The reference point lies beyond the worst complete trial by this share of the range, so that the ends of a front
count too."""

LEAST_VALUES = 3
"""Fewer values than this say nothing of other configurations."""

NOISE = {"curve": 0.1, "start": 0.03, "time": 0.03, "end": 0.1}
"""By when an objective is known: the median of its noise, as a share of its deviation over the trials."""


@dataclass(frozen=True)
class Quantity:
    """An objective, or what a constraint bounds.

    Attributes:
        losses: shape (trials,), NaN where it is not known.
        known: shape (trials,).
        process: fitted to what is known.
        bounds: the study's constraints on it.
    """

    scale: Scale
    losses: Array
    known: NDArray[np.bool_]
    process: GaussianProcess
    bounds: tuple[Constraint, ...]

    @classmethod
    def of(cls, name: str, trials: Sequence[Record], among: Distances, bounds: Sequence[Constraint]) -> Quantity | None:
        """Fitted to the trials; None if too few of them have it."""
        values = observed(name, trials)
        scale, known = scale_of(name, values), ~np.isnan(values)
        if known.sum() < LEAST_VALUES:
            return None
        losses = scale.losses(values)
        process = GaussianProcess(among.among(known), losses[known], NOISE[scale.objective.known])
        return cls(scale, losses, known, process, tuple(bound for bound in bounds if bound.objective == name))

    def forecast(self, away: Distances) -> tuple[Array, Array]:
        """Means and deviations of the losses of other points, given their distances from all trials."""
        return self.process.forecast(away, self.known)

    def feasible(self, mean: Array, deviation: Array) -> Array:
        """The probability that losses with these forecasts keep the constraints. Shape (points,)."""
        from scipy.special import ndtr

        found = np.ones(len(mean))
        for bound in self.bounds:
            limit = self.scale.losses(np.array([bound.bound]))[0]
            found *= ndtr((limit - mean) / np.maximum(deviation, SURE))
        return found


@dataclass(frozen=True)
class Outlook:
    """The trials, and a model of each objective and of what constraints bound.

    Attributes:
        points: of the trials.
        objectives: how many of the quantities are objectives; these come first.
        epochs: what the trials were after each of their epochs, where these are points of the front.
    """

    trials: Sequence[Record]
    encoding: Encoding
    points: Points
    quantities: Sequence[Quantity]
    objectives: int
    quality: Array
    epochs: Sequence[Record] = ()

    @classmethod
    def of(
        cls,
        trials: Sequence[Record],
        encoding: Encoding,
        names: Sequence[str],
        constraints: Sequence[Constraint],
        *,
        every_epoch: bool = False,
    ) -> Outlook | None:
        """Fit the models.

        Args:
            trials: those that count, with their configurations.
            names: the objectives.
            constraints: the study's.
            every_epoch: whether each epoch of a trial is a point of the front. What a proposal promises is its end.

        Returns:
            None if too little is known of an objective.
        """
        points = encoding.points([trial.params for trial in trials])
        among = distances(points, points, encoding)
        objectives = [Quantity.of(name, trials, among, constraints) for name in names]
        bounded = dict.fromkeys(c.objective for c in constraints if c.objective not in names)
        others = [Quantity.of(name, trials, among, constraints) for name in bounded]
        found = [quantity for quantity in (*objectives, *others) if quantity is not None]
        if not names or None in objectives or not any(trial.state == "complete" for trial in trials):
            return None
        quality = found[list(names).index(quality_objective(names))].losses
        epochs = [epoch for trial in trials for epoch in epochs_of(trial, names)] if every_epoch else []
        return cls(trials, encoding, points, found, len(objectives), quality, epochs)

    def best(self, random: np.random.Generator, count: Count | None, method: str | None) -> dict[str, Any] | None:
        """The candidate with the largest expected improvement, as Optuna parameters; None if none promises any.

        Args:
            random: draws the candidates.
            count: counts the parameters that a candidate would train. It takes time, so only the candidates that
                promise most are counted, until the most promising one is.
            method: the only method that is asked for, if it is given.
        """
        candidates = self._candidates(random, self.encoding.searched(method))
        if not len(candidates):
            return None
        mean, deviation = self._forecast(candidates)
        target = self._target()
        score = target.score(mean, deviation, self.quantities)
        if count is not None:
            score = self._counted(count, candidates, target, score, mean, deviation)
        place = int(score.argmax())
        return self.encoding.params(candidates, place) if score[place] > 0 else None

    def _counted(
        self, count: Count, candidates: Points, target: Target, score: Array, mean: Array, deviation: Array
    ) -> Array:
        """The scores with the known costs of the candidates that were counted; 0 for all others."""
        certain: dict[int, float] = {}
        place = int(score.argmax())
        while place not in certain and len(certain) < COUNTED:
            parameters = count(self.encoding.params(candidates, place))
            for k, quantity in enumerate(self.quantities if parameters is not None else ()):
                if quantity.scale.objective.of_parameters:
                    value = quantity.scale.objective.of_parameters(parameters or 0)
                    mean[place, k], deviation[place, k] = quantity.scale.losses(np.array([value]))[0], 0.0
            certain[place] = target.score(mean[[place]], deviation[[place]], self.quantities)[0]
            score[place] = certain[place]
            place = int(score.argmax())
        found = np.zeros(len(score))
        found[list(certain)] = list(certain.values())
        return found

    def _candidates(self, random: np.random.Generator, methods: Sequence[int]) -> Points:
        """Configurations of these methods that no trial has."""
        drawn = []
        for method in methods:
            drawn.append(self.encoding.drawn(method, DRAWN, random))
            mine = (self.points.method == method) & ~np.isnan(self.quality)
            if mine.any():
                order = np.argsort(self.quality[mine], kind="stable")[:GOOD]
                drawn.append(self.encoding.near(method, self.points.columns[mine][order], NEAR, random))
        if not drawn:
            return self.points.where(np.zeros(len(self.points), dtype=bool))
        candidates, tried = joined(drawn), set(self.points.rows())
        return candidates.where(np.array([row not in tried for row in candidates.rows()], dtype=bool))

    def _forecast(self, points: Points) -> tuple[Array, Array]:
        """Means and deviations, each of shape (points, quantities)."""
        away = distances(points, self.points, self.encoding)
        found = [quantity.forecast(away) for quantity in self.quantities]
        return np.stack([mean for mean, _ in found], axis=1), np.stack([deviation for _, deviation in found], axis=1)

    def _target(self) -> Target:
        """The front of the points that keep the constraints, and of what running trials are expected to have.

        Workers beside each other then propose different things. Source: Ginsbourger, Le Riche and Carraro, "Kriging is
        well-suited to parallelize optimization" (2010), the kriging believer.
        """
        losses = np.stack([quantity.losses for quantity in self.quantities[: self.objectives]], axis=1)
        complete = np.array([trial.state == "complete" for trial in self.trials]) & ~np.isnan(losses).any(axis=1)
        running = np.array([trial.state == "running" for trial in self.trials])
        feasible = np.array([trial.feasible for trial in self.trials])
        low, high = losses[complete].min(axis=0), losses[complete].max(axis=0)
        front = np.concatenate([losses[complete & feasible], self._losses_of_epochs()])
        if running.any():
            front = np.concatenate([front, self._forecast(self.points.where(running))[0][:, : self.objectives]])
        return Target.of(front, low, np.where(high > low, high - low, 1.0))

    def _losses_of_epochs(self) -> Array:
        """Of those that keep the constraints. Shape (epochs, objectives)."""
        kept = [epoch for epoch in self.epochs if epoch.feasible]
        scales = [quantity.scale for quantity in self.quantities[: self.objectives]]
        columns = [scale.losses(np.array([epoch.values[scale.objective.name] for epoch in kept])) for scale in scales]
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Target:
    """What is to be improved: the boxes that a front leaves open, with losses scaled to the range of the trials."""

    boxes: Boxes
    low: Array
    span: Array

    @classmethod
    def of(cls, front: Array, low: Array, span: Array) -> Target:
        return cls(open_boxes((front - low) / span, np.full(len(low), 1 + MARGIN)), low, span)

    def score(self, mean: Array, deviation: Array, quantities: Sequence[Quantity]) -> Array:
        """The expected improvement times the probability that the constraints are kept. Shape (points,)."""
        many = len(self.low)
        found = expected_improvement(
            self.boxes, (mean[:, :many] - self.low) / self.span, deviation[:, :many] / self.span
        )
        for k, quantity in enumerate(quantities):
            found = found * quantity.feasible(mean[:, k], deviation[:, k])
        return found
