"""What must hold on a real PostgreSQL server."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result
from optuna_dashboard._note import get_note_from_system_attrs

from peftsearch.cli import main
from peftsearch.core.points import Point, parse_point
from peftsearch.report.dashboard.serve import decorate
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.optuna_access import storage_of, study_id, trial_ids
from peftsearch.storage.records import Record, records
from peftsearch.study.suggest import baseline_config
from peftsearch.workers.outcome import Outcome
from tests.helpers.claimers import claim_in_processes
from tests.helpers.postgres import Server
from tests.helpers.preparers import prepare_in_processes
from tests.helpers.search import Search, new_search

BUDGET = 12
ODD = "p@ss:w/o{r}d %40#?&"


@pytest.fixture(scope="module")
def searched(postgres_url: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Search]:
    """A search that three parents began in the same moment, and four workers ended, of which one was killed."""
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        made = new_search(folder, patch)
        search = replace(made, job=replace(made.job, storage=postgres_url(), budget=BUDGET))
        assert prepare_in_processes(search.job.path, search.job.storage, processes=3) == ["toy"] * 3
        token = folder / "token"
        token.touch()
        patch.setenv("FAKE_KILL_ONCE", str(token))
        assert search.run(workers=4) == Outcome("done")
        yield search


def finished(search: Search) -> list[Record]:
    return [record for record in search.records() if record.state == "complete"]


def keys(found: list[Record]) -> list[str]:
    return [record.config.key() for record in found if record.config]


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment)


def test_the_budget_is_exact_and_nothing_is_left_over(searched: Search) -> None:
    states = Counter(record.state for record in searched.records())
    assert states == {"complete": BUDGET, "failed": 1}
    assert len(set(keys(finished(searched)))) == BUDGET
    assert len({record.worker["pid"] for record in searched.records()} - {os.getpid()}) >= 4


def test_every_baseline_is_trained_once_though_several_parents_enqueued_them(searched: Search) -> None:
    trained = keys(finished(searched))
    baselines = [baseline_config(searched.spec, baseline).key() for baseline in searched.spec.baselines]
    assert len(baselines) == 3
    assert [trained.count(key) for key in baselines] == [1, 1, 1]


def test_the_configuration_of_a_killed_worker_is_tried_once_more(searched: Search) -> None:
    [killed] = [record for record in searched.records() if record.failure]
    assert killed.failure is not None
    assert killed.failure["kind"] == "killed"
    assert keys(finished(searched)).count(*keys([killed])) == 1


def test_curves_measurements_and_notes_are_read_back_whole(searched: Search) -> None:
    decorate(open_stored("toy", searched.job.storage))
    again = open_study(open_storage(searched.job.storage), "toy", searched.spec.objectives)
    notes, ids = storage_of(again).get_study_system_attrs(study_id(again)), trial_ids(again)
    for record in finished(searched):
        assert [epoch.epoch for epoch in record.curve] == [1, 2, 3]
        assert record.measurement is not None
        assert (
            record.values["macro_f1"] == record.measurement.metrics["macro_f1"] == record.curve[-1].metrics["macro_f1"]
        )
        assert f"{record.values['macro_f1']:.4f}" in get_note_from_system_attrs(notes, ids[record.number])["body"]


def test_front_finds_the_storage_in_the_environment(searched: Search) -> None:
    result = run(
        "front", "--study", searched.job.path, "--tolerance", "none", "--json", PEFTSEARCH_STORAGE=searched.job.storage
    )
    assert result.exit_code == 0, result.output
    front = {str(Point(row["trial"], row["epoch"])) for row in json.loads(result.stdout)}
    kept = {child.name for child in (Path(searched.job.folder) / "weights").iterdir()}
    assert front <= kept
    assert all(parse_point(name) == Point(int(name)) for name in kept - front), (
        "whole trials that no other one dominates"
    )


def test_three_processes_take_waiting_trials_once_each(postgres_url: Callable[[], str]) -> None:
    url = postgres_url()
    study = open_study(open_storage(url), "x", ["macro_f1"])
    for place in range(24):
        study.enqueue_trial({"place": place})
    claimed = claim_in_processes(url, "x", budget=30, processes=3)
    taken = Counter(number for numbers in claimed for number in numbers)
    assert max(taken.values()) == 1
    assert set(range(24)) <= set(taken)
    assert sum(bool(numbers) for numbers in claimed) > 1, "one process took all: nothing was proven"
    assert Counter(record.state for record in records(study)) == {"complete": 30, "failed": len(taken) - 30}


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql", "postgres"])
def test_the_url_may_leave_the_driver_out(searched: Search, scheme: str) -> None:
    url = searched.job.storage.replace("postgresql+psycopg", scheme)
    result = run("status", "--study", searched.job.path, "--storage", url)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"toy: {BUDGET} ")


def test_a_password_may_have_any_character(
    search: Search, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres_server.execute(f"CREATE ROLE odd LOGIN SUPERUSER PASSWORD '{ODD}'")
    url = postgres_server.new_database().replace(
        f"peftsearch:{postgres_server.password}@", f"odd:{quote(ODD, safe='')}@"
    )
    searching = replace(search, job=replace(search.job, storage=url, budget=1))
    assert searching.run() == Outcome("done")
    assert len(finished(searching)) == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("password", 'FATAL:  password authentication failed for user "peftsearch"'),
        ("host", "failed to resolve host 'nowhere.invalid'"),
        ("port", "Connection refused"),
        ("database", 'FATAL:  database "nothing" does not exist'),
        ("user", 'FATAL:  password authentication failed for user "nobody"'),
    ],
)
def test_a_url_that_leads_nowhere_gets_one_line_without_the_password(
    search: Search, postgres_server: Server, wrong: str, reason: str
) -> None:
    server, hidden = postgres_server, quote(ODD, safe="")
    url = {
        "password": server.url("postgres", password=ODD),
        "host": f"postgresql+psycopg://me:{hidden}@nowhere.invalid/x",
        "port": f"postgresql+psycopg://me:{hidden}@127.0.0.1:1/x",
        "database": server.url("nothing"),
        "user": server.url("postgres", user="nobody", password=ODD),
    }[wrong]
    for options in ({"PEFTSEARCH_STORAGE": url}, {}):
        named = () if options else ("--storage", url)
        result = run("status", "--study", search.job.path, *named, **options)
        assert result.exit_code == 2
        assert result.output.startswith("Error: cannot open the storage postgresql+psycopg://")
        assert result.output.count("\n") == 1
        assert reason in result.output
        assert not any(secret in result.output for secret in (ODD, hidden, server.password))
