"""The worker that measures times again: it trains steps of the real model, where the search has trained."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.core.measurement import Measurement
from peftsearch.data.load import data_of_study
from peftsearch.optimize.retiming.worker import TimeAgain, real_timer
from peftsearch.study.suggest import baseline_config
from peftsearch.training.trial import run_trial
from tests.helpers.search import STUDY, Search, new_search
from tests.helpers.tiny import tiny_model


@dataclass(frozen=True)
class Trained:
    """A finished trial, and what measures it again."""

    search: Search
    measured: Measurement

    def again(self, measured: Measurement | None = None) -> tuple[float, ...]:
        spec, job = self.search.spec, self.search.job
        config = baseline_config(spec, spec.baselines[0])
        timer: TimeAgain = real_timer(spec, replace(job, device="cpu"))
        return timer(config, measured or self.measured, 3, lambda: False)


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    texts = ("a good cat", "the bad dog")
    rows = [f"{texts[i % 2]} {'very ' * (i % 7)}word{i % 40},{'ab'[i % 2]}" for i in range(90)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]))
    backbone = json.dumps(str(tiny_model(tmp_path / "bert")))
    search = new_search(tmp_path, monkeypatch, STUDY.replace("[tiny]", f"[{backbone}]"))
    job, spec = search.job, search.spec
    data = data_of_study(spec.data, spec.folder, job.run_folder)
    config = baseline_config(spec, spec.baselines[0])
    found = run_trial(config, data, lambda _: None, cache=tmp_path / "cache", device="cpu")
    return Trained(search, found.measurement)


def test_a_trial_is_measured_again_where_it_was_trained(trial: Trained) -> None:
    found = trial.again()
    assert len(found) == trial.measured.epochs == 3
    assert all(seconds > 0 for seconds in found)


def test_another_machine_and_other_data_are_refused(trial: Trained) -> None:
    with pytest.raises(UserError, match=r"^the search trained on NVIDIA H100, and this machine has .*thread"):
        trial.again(replace(trial.measured, device="NVIDIA H100"))
    with pytest.raises(UserError, match=r"^the data has changed since the search read it$"):
        trial.again(replace(trial.measured, data_fingerprint="other"))
