"""What Python programs pass by mistake to public functions: each is told in one line, before anything is done."""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import peftsearch
from peftsearch import Overrides, UserError, api
from peftsearch.core.calls.arguments import ARGUMENTS, Kind

FUNCTIONS = {name: found for name in api.__all__ if inspect.isfunction(found := getattr(api, name))}
PARAMETERS = [
    (name, parameter) for name, function in FUNCTIONS.items() for parameter in inspect.signature(function).parameters
]

RIGHT: dict[str, Any] = {
    "study": "none", "config": "none.yaml", "trial": "best", "out": "out", "file": "file.yaml", "folder": "folder",
    "source": "rows.csv", "repository": "me/mine",
}  # fmt: skip
"""A value for each parameter that has no default."""

FITTING: dict[str, list[Any]] = {
    "study": ["quickstart", Path("my.yaml")],
    "overrides": [Overrides(limit={"train": 5})],
    "trials": [1, 40],
    "confirm_study.trials": [[], [0, 3], ("best", 2), ["best"]],
    "trial": [0, 12, "best"],
    "workers": [1, 8],
    "seed": [0, 2**32 - 1],
    "timeout": [0.1, 5, 3600],
    "storage_patience": [0, 1.5],
    "storage": ["sqlite:///x.db"],
    "out": ["out", Path("out")],
    "source": ["rows.csv", Path("rows.csv"), {"train": "a.csv", "test": Path("b.csv")}],
    "text": ["body", ["a", "b"], ()],
    "backbones": [["x"], ("x", "y"), []],
    "max_parameters": [1e6, 10, "1%"],
    "min_quality": [0.9, -1],
    "exact": [True, False],
    "say": [print],
    "Overrides.source": [{}, {"train": "a.csv"}],
    "Overrides.columns": [{"label": "stars"}],
    "Overrides.backbones": [("x",), ["x"]],
    "Overrides.tolerance": [None, "none", {"macro_f1": 0.005, "train_seconds": "10%"}],
    "Overrides.every_epoch": [None, True, False],
    "Overrides.limit": [{"train": 5, "test": 1}],
}


def drawn(seed: int) -> list[Any]:
    """Values of many types, of which a parameter takes few."""
    chance = random.Random(seed)
    whole, text = chance.randrange(1, 10**6), "".join(chance.choices("abc .:/-äß\n", k=chance.randrange(1, 30)))
    return [
        *(0, -whole, whole, whole + 0.5, float("nan"), float("inf"), True, text, str(whole), "", "a\0b", b"bytes"),
        *(Path(text.strip(".") or "x"), Path("a\0b"), [text], [whole], [None], {}, {"train": 0}, {"trian": text}),
        *({"limit": {"train": whole}}, {whole}, object(), len, UserError, 10**80, 1 + 2j),
    ]


def kind_of(function: str, parameter: str) -> Kind:
    return ARGUMENTS.get(f"{function}.{parameter}") or ARGUMENTS[parameter]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    return tmp_path


def call(name: str, **arguments: Any) -> Any:
    function = FUNCTIONS[name]
    needed = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    return function(**{key: RIGHT[key] for key in needed} | arguments)


def test_every_kind_is_of_a_parameter_and_every_parameter_has_one() -> None:
    named = {key.rpartition(".")[2] for key in ARGUMENTS}
    assert named - {"source", "columns", "limit", "backbones", "tolerance"} <= {
        parameter for _, parameter in PARAMETERS
    }
    for name, parameter in PARAMETERS:
        assert kind_of(name, parameter).words


@pytest.mark.parametrize("key", FITTING)
def test_what_a_parameter_takes(key: str) -> None:
    for value in FITTING[key]:
        assert ARGUMENTS[key].fits(value), (key, value)


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_what_a_parameter_does_not_take_is_told_in_one_line(here: Path, name: str, parameter: str) -> None:
    kind, refused = kind_of(name, parameter), 0
    for seed in range(5):
        for value in (value for value in drawn(seed) if not kind.fits(value)):
            with pytest.raises(UserError) as caught:
                call(name, **{parameter: value})
            said = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
            assert str(caught.value) == f"{parameter} must be {kind.words}, but got {said}"
            refused += 1
    assert refused >= 40
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_parameter_that_there_is_not(name: str) -> None:
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    for parameter in parameters:
        with pytest.raises(TypeError) as caught:
            call(name, **{f"{parameter}x": 1})
        assert str(caught.value) == f"{name}() has no parameter '{parameter}x'; did you mean {parameter!r}?"
    if parameters:
        with pytest.raises(TypeError, match=re.escape(f"{name}() has no parameter 'qqq'; valid: ")):
            call(name, qqq=1)


@pytest.mark.parametrize(
    ("misused", "told"),
    [
        (lambda: peftsearch.run_study("reviews"), "a search needs an end: give trials=20, timeout=1800 (seconds), "
         "until_flat=True, or several"),
        (lambda: peftsearch.run_study("reviews", trials="40"), "trials must be a whole number, at least 1, but got "
         "'40'"),
        (lambda: peftsearch.run_study("reviews", trials=4, overrides={"limit": {"train": 5}}),
         "overrides must be Overrides, as in Overrides(limit={'train': 500}), but got {'limit': {'train': 5}}"),
        (lambda: peftsearch.run_study("reviews", trials=4, storage=Path("runs/reviews.db")),
         "storage must be the URL of a database, as in 'sqlite:///runs/NAME.db', but got PosixPath('runs/reviews.db')"),
        (lambda: peftsearch.confirm_study("reviews", trials=1),
         "trials must be a list of trials, epochs or 'best', as in [1, '4@2'], but got 1"),
        (lambda: peftsearch.confirm_study("reviews", trials="best"),
         "trials must be a list of trials, epochs or 'best', as in [1, '4@2'], but got 'best'"),
        (lambda: peftsearch.confirm_study("reviews", seeds=0), "seeds must be a whole number, at least 1, but got 0"),
        (lambda: Overrides(backbones="bert"), "backbones must be a list of names, as in ['NAME'], but got 'bert'"),
        (lambda: Overrides(tolerance="10%"),
         "tolerance must be 'none' or a dict with an amount for each objective, as in {'macro_f1': 0.005}, but got "
         "'10%'"),
        (lambda: Overrides(every_epoch="no"), "every_epoch must be True or False, but got 'no'"),
        (lambda: Overrides(limit=500), "limit must be a dict with rows for each split, as in {'train': 500}, but got "
         "500"),
        (lambda: Overrides(limit={"valid": 5}), "limit must be a dict with rows for each split, as in {'train': 500}, "
         "but got {'valid': 5}"),
        (lambda: peftsearch.init_study({"trian": "rows.csv"}), "source must be a path, a URL, or a dict with one for "
         "each split, as in {'train': 'rows.csv'}, but got {'trian': 'rows.csv'}"),
    ],
)  # fmt: skip
def test_what_newcomers_write(misused: Callable[[], Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        misused()
    assert str(caught.value) == told


def test_what_python_itself_says() -> None:
    with pytest.raises(TypeError, match=re.escape("export_trial() missing 1 required positional argument: 'out'")):
        peftsearch.export_trial("reviews", "best")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=re.escape("load_study() takes from 1 to 2 positional arguments but 3 were")):
        peftsearch.load_study("reviews", None, 3)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["n" * 300, "n" * 5000])
def test_a_name_that_no_disk_takes(name: str) -> None:
    for misused in (
        lambda: peftsearch.open_results(name),
        lambda: peftsearch.load_study(f"{name}.yaml"),
        lambda: peftsearch.load_classifier(name),
        lambda: peftsearch.init_study("rows.csv", f"{name}.yaml"),
    ):
        with pytest.raises(UserError) as caught:
            misused()
        assert str(caught.value) == f"{'n' * 97}...: File name too long; choose a shorter name"
