"""The five reference experiments: each runs on files like theirs, and whatever its space holds can be trained."""

from __future__ import annotations

import gc
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from peftsearch.study.spec import load_study
from tests.helpers import reference

STUDIES = sorted(reference.FILES)
DRAWS = int(os.environ.get("PEFTSEARCH_DRAWS", "3"))
"""Configurations drawn of each method of each study; 60 are more than 300 a study."""

UNTRAINED = ("none", "tfidf")
"""Methods without epochs."""

LABELS = {
    "agnews": ("Business", "Sci/Tech", "Sports", "World"),
    "emotion": tuple(sorted(reference.EMOTIONS)),
    "kinopoisk": ("0", "1"),
    "lenta": ("Крым", "Мир", "Россия", "Спорт"),
    "mrpc": ("0", "1"),
}


def arguments(study: str, folder: Path) -> list[str]:
    """`--study`, `--data` and `--backbone` for files and models made in `folder`."""
    given = reference.overrides(study, folder)
    data = ",".join(f"{split}={path}" for split, path in given.source.items())
    return ["--study", study, "--data", data, *(part for name in given.backbones for part in ("--backbone", name))]


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_runs_on_files_as_they_were_published(study, tmp_path, monkeypatch):
    from peftsearch.cli import main

    monkeypatch.chdir(tmp_path)
    shared = arguments(study, tmp_path)
    done = CliRunner().invoke(main, ["optimize", *shared, "--trials", "1", "--json"])
    assert done.exit_code == 0, done.output
    trial, *others = json.loads(CliRunner().invoke(main, ["trials", *shared, "--json"]).stdout)
    assert trial["state"] == "complete"
    assert {other["state"] for other in others} == {"waiting"}
    first = load_study(study).baselines[0]
    assert trial["method"] == first.method
    assert {**trial["params"], **first.settings} == trial["params"]
    other = CliRunner().invoke(main, ["front", "--study", study, "--backbone", "another"])
    assert other.exit_code == 2
    assert "were trained on other backbones" in other.output
    assert "--fork NEW_NAME" in other.output


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("study", STUDIES)
def test_whatever_is_drawn_can_be_trained(study, tmp_path):
    import optuna
    from optuna.samplers import PartialFixedSampler, RandomSampler

    from peftsearch.data.load import load_data
    from peftsearch.study.compatibility import check_feasible
    from peftsearch.study.suggest import suggest
    from peftsearch.training.trial import run_trial

    gc.freeze()  # as a worker does
    spec = load_study(study, reference.overrides(study, tmp_path))
    check_feasible(spec)
    rows = spec.data.limit.model_copy(update={"train": 8, "validation": 6})
    data = load_data(spec.data.model_copy(update={"limit": rows}), spec.folder, tmp_path / "data")
    assert data.labels == LABELS[study]
    drawing = optuna.create_study(directions=spec.directions)
    for method in list(spec.methods) * DRAWS:
        drawing.sampler = PartialFixedSampler({"method": method}, RandomSampler(seed=len(drawing.trials)))
        config = suggest(spec, drawing.ask())
        one_step = replace(config, training=replace(config.training, epochs=1, batch_size=8))
        found = run_trial(one_step, data, lambda _: None, cache=tmp_path / "tokens", device="cpu").measurement
        assert found.epochs == (config.method not in UNTRAINED), config
