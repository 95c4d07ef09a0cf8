"""Workers with one and with two CPU threads: two kinds of device, each timed once and compared on one scale."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from peftsearch.results.stored_study import open_stored
from peftsearch.results.times.kinds import apart, scaled_kinds
from peftsearch.storage.times.scale import scale_of
from peftsearch.workers.job import WorkerReport
from peftsearch.workers.search_task import real_search
from peftsearch.workers.worker import SEARCH, run_job
from tests.helpers.search import Search, new_search
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data

STUDY = """\
name: toy
data: {{source: rows.csv, text: text, label: label}}
backbones: [{backbone}]
training: {{epochs: 2, batch_size: 8, precision: fp32}}
search: {{portfolio: false}}
methods: {{tfidf: {{}}, probe: {{}}, full: {{}}}}
"""


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    rows = toy_data(train=60).splits["train"]
    lines = [f"{row['text']},{row['label']}" for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]))
    found = new_search(tmp_path, monkeypatch, STUDY.format(backbone=tiny_model(tmp_path / "bert")))
    return replace(found, job=replace(found.job, device="cpu"))


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_second_kind_is_timed_and_its_seconds_are_those_of_the_first(search: Search) -> None:
    search.prepare()
    for threads, budget in ((1, 3), (2, 6)):
        job = replace(search.job, threads=threads, budget=budget)
        assert run_job(job, threading.Event()) == WorkerReport("budget")
    stored = open_stored("toy", search.job.storage)
    kinds = [(each.work, each.timed_in.rpartition("(")[2]) for each in scale_of(stored.study).calibrations]
    assert kinds == [("texts", "1 thread)"), ("encoder", "1 thread)"), ("encoder", "2 threads)")]
    known = stored.records()
    [found] = scaled_kinds(known, scale_of(stored.study))
    of_encoder = [r.number for r in known if r.config and r.config.method != "tfidf" and r.number >= 3]
    assert list(found.trials) == of_encoder
    assert apart(known) == {}
    for record in known:
        measured = record.measurement or record.so_far
        assert measured
        assert (measured.scaled_by is not None) == (record.number in of_encoder)
        assert record.worker["timed_in"].endswith("(2 threads)") == (record.number >= 3)
        curve = stored.study.trials[record.number].user_attrs.get("curve", ())
        raw = sum(epoch["train_seconds"] for epoch in curve)
        assert measured.own_train_seconds == pytest.approx(raw or measured.train_seconds)


def test_the_worker_of_a_search_times_its_device(search: Search) -> None:
    assert SEARCH is real_search
    assert real_search(search.prepare(), search.spec, search.job).device is not None
