from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from peftsearch.search.ehvi.encoding import ABSENT, Encoding, joined

SPACE: dict[str, Any] = {
    "method": CategoricalDistribution(["full", "lora"]),
    "backbone": CategoricalDistribution(["small", "large"]),
    "full.learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
    "lora.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "lora.rank": CategoricalDistribution([4, 8, 16]),
    "lora.tokens": IntDistribution(1, 64, log=True),
    "lora.dropout": FloatDistribution(0.1, 0.1),
}
ENCODING = Encoding(SPACE)


def _holds(dimension: Any, value: Any) -> bool:
    if isinstance(dimension, CategoricalDistribution):
        return value in dimension.choices
    whole = not isinstance(dimension, IntDistribution) or isinstance(value, int)
    return whole and bool(dimension.low <= value <= dimension.high)


def test_a_point_is_the_configuration_that_it_was_made_of() -> None:
    for params in (
        {"method": "full", "backbone": "large", "full.learning_rate": 2e-5},
        {"method": "lora", "backbone": "small", "lora.learning_rate": 3e-3, "lora.rank": 8, "lora.tokens": 17},
    ):
        back = ENCODING.params(ENCODING.points([params]), 0)
        rate = f"{params['method']}.learning_rate"
        assert abs(back.pop(rate) / params.pop(rate) - 1) < 1e-9  # type: ignore[operator]
        assert back == params


def test_settings_of_one_name_share_a_column() -> None:
    full = {"method": "full", "backbone": "small", "full.learning_rate": 1e-4}
    lora = {"method": "lora", "backbone": "small", "lora.learning_rate": 1e-3, "lora.rank": 16, "lora.tokens": 64}
    found = ENCODING.points([full, lora]).columns.round(9)
    assert found.tolist() == [[0, 0.5, ABSENT, ABSENT], [0, 0.5, 1, 1]], "backbone, learning rate, rank, tokens"
    assert ENCODING.shared.tolist() == [True, True, False, False]
    assert ENCODING.nominal.tolist() == [True, False, False, False], "ranks have an order"


def test_what_is_drawn_lies_in_the_space_and_near_what_it_is_drawn_near() -> None:
    random = np.random.default_rng(0)
    drawn = ENCODING.drawn(1, 200, random)
    good = drawn.columns[:1]
    near = ENCODING.near(1, good, 200, random)
    for place in range(400):
        params = ENCODING.params(joined([drawn, near]), place)
        for name, value in params.items():
            assert _holds(SPACE[name], value), (name, value)
    away = [np.abs(rows[:, 1] - good[0, 1]).mean() for rows in (drawn.columns, near.columns)]
    assert away[1] < 0.5 * away[0]
    same = [(rows[:, 2] == good[0, 2]).mean() for rows in (drawn.columns, near.columns)]
    assert same[0] < 0.5 < 0.7 < same[1]


def test_optuna_takes_what_is_drawn() -> None:
    params = ENCODING.params(ENCODING.drawn(1, 1, np.random.default_rng(1)), 0)
    trial = optuna.trial.create_trial(params=params, distributions={name: SPACE[name] for name in params}, value=0.0)
    assert trial.params == params
