from __future__ import annotations

from dataclasses import replace

import optuna
from optuna.trial import create_trial

from peftsearch.core.config import EarlyStopping, TrialConfig
from peftsearch.storage.trial_attributes import baseline_attributes, fixed_baseline, has_config, has_configuration
from peftsearch.study.baselines import Baseline

CONFIG = TrialConfig("b", "full", {"rank": 1})


def test_a_baseline_is_read_back_from_the_trial_that_was_enqueued_for_it() -> None:
    study = optuna.create_study()
    written = [Baseline("full", "b", {"rank": 1}, place) for place in (0, None)]
    for baseline in written:
        study.enqueue_trial({}, user_attrs=baseline_attributes(baseline, CONFIG))
    trials = [study.ask() for _ in range(3)]
    assert [fixed_baseline(trial) for trial in trials] == [*written, None]
    assert [has_configuration(trial) for trial in trials] == [True, True, False]
    assert has_config(study.trials[0], CONFIG)


def test_the_names_and_the_json_of_an_enqueued_trial_are_those_of_earlier_versions() -> None:
    """A storage that an earlier version has begun goes on with this one."""
    fixed = {"method": "full", "backbone": "b", "settings": {"rank": 1}}
    common = {"fixed": fixed, "config": CONFIG.to_dict()}
    assert baseline_attributes(Baseline("full", "b", {"rank": 1}, 2), CONFIG) == {**common, "baseline": 2}
    assert baseline_attributes(Baseline("full", "b", {"rank": 1}), CONFIG) == {**common, "default": True}


def test_a_configuration_is_told_from_those_that_differ_in_anything() -> None:
    mine = TrialConfig("b", "full", {"rank": 1})
    unequal = [
        replace(mine, backbone="c"),
        replace(mine, method="lora"),
        replace(mine, settings={"rank": 2}),
        replace(mine, settings={"rank": True}),
        replace(mine, max_length=64),
        replace(mine, training=replace(mine.training, early_stopping=EarlyStopping(2))),
    ]
    trials = [create_trial(value=0.0, user_attrs={"config": other.to_dict()}) for other in [*unequal, mine]]
    assert [has_config(trial, mine) for trial in trials] == [False] * 6 + [True]
    assert not has_config(create_trial(value=0.0), mine)
