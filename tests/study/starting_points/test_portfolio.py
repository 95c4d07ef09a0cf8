from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peftsearch.core.dimensions import Fixed, contains
from peftsearch.methods.table import METHODS
from peftsearch.study.sections import Backbone
from peftsearch.study.spec import StudySpec, load_study
from peftsearch.study.starting_points.baselines import Vocabulary
from peftsearch.study.starting_points.portfolio import portfolio_points, shipped


def test_every_shipped_entry_lies_in_its_methods_own_ranges_and_no_two_are_equal() -> None:
    for entry in shipped():
        own = METHODS[entry["method"]].hyperparameters
        assert entry["settings"], entry
        for name, value in entry["settings"].items():
            assert not isinstance(own[name].default, Fixed)
            assert contains(own[name].default, value), (entry, name)
    assert len({str(entry) for entry in shipped()}) == len(shipped()) >= 22


def study(folder: Path, search: str, methods: str = "{probe: {}, lora: {}, full: {}}") -> StudySpec:
    file = folder / "taught.yaml"
    file.write_text(
        f"name: taught\ndata: {{source: wordnet-nouns}}\nbackbones: [tiny]\nmethods: {methods}\nsearch: {search}\n"
    )
    return load_study(str(file))


def test_it_comes_after_the_default_settings_unless_the_study_leaves_it_out(tmp_path: Path) -> None:
    plain, taught = study(tmp_path, "{portfolio: false}"), study(tmp_path, "{}")
    assert taught.baselines[:3] == plain.baselines
    added = taught.baselines[3:]
    assert len(added) == 2, "half as many as the study has methods, rounded up"
    first = [entry for entry in shipped() if entry["method"] in taught.methods][:2]
    assert [(b.method, {**b.settings, **e["settings"]}) for b, e in zip(added, first, strict=True)] == [
        (b.method, dict(b.settings)) for b in added
    ]
    assert [(baseline.written, baseline.learnt) for baseline in taught.baselines] == [(None, False)] * 3 + [
        (None, True)
    ] * 2


def points(*entries: dict[str, Any], methods: str, folder: Path) -> list[tuple[str, dict[str, Any]]]:
    spec = study(folder, "{portfolio: false}", methods)
    known = Vocabulary(METHODS, spec.methods, (Backbone("tiny"),))
    return [(b.method, dict(b.settings)) for b in portfolio_points(known, spec.baselines, entries)]


def test_what_the_study_does_not_hold_or_tries_already_is_left_out(tmp_path: Path) -> None:
    methods = "{lora: {rank: 8, targets: all, alpha_ratio: 1, learning_rate: {log: [1e-4, 1e-3]}}, full: {}}"
    lora = {"rank": 8, "targets": "all", "alpha_ratio": 1, "learning_rate": 5e-4}
    found = points(
        {"method": "probe", "settings": {"learning_rate": 1e-2}},
        {"method": "lora", "settings": {**lora, "rank": 16}},
        {"method": "lora", "settings": {**lora, "learning_rate": 2e-3}},
        {"method": "full", "settings": {"learning_rate": 7.07e-5}},
        {"method": "lora", "settings": lora},
        {"method": "lora", "settings": lora},
        {"method": "full", "settings": {"learning_rate": 1e-5}},
        {"method": "full", "settings": {"learning_rate": 2e-5}},
        methods=methods,
        folder=tmp_path,
    )
    assert [(method, settings["learning_rate"]) for method, settings in found] == [("lora", 5e-4)]


@pytest.mark.parametrize("rates", ["{log: [1e-4, 1e-2]}", "{log: [1e-4, 1e-3]}", "0.003"])
def test_a_method_starts_at_its_own_rate_if_the_study_holds_it(tmp_path: Path, rates: str) -> None:
    found = study(tmp_path, "{}", f"{{bitfit: {{learning_rate: {rates}}}}}").baselines[0].settings["learning_rate"]
    assert found == {"{log: [1e-4, 1e-2]}": 0.005, "{log: [1e-4, 1e-3]}": 0.000316, "0.003": 0.003}[rates]
