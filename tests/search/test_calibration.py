"""Each kind of device is timed once, before its first trial, by whichever worker comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from peftsearch.core.errors import Interrupted
from peftsearch.core.seconds import Timed
from peftsearch.search import calibration
from peftsearch.search.calibration import Calibration, timed_config
from peftsearch.storage.database import open_storage, open_study, reopen_study
from peftsearch.storage.times.calibrations import Work
from peftsearch.storage.times.scale import scale_of
from peftsearch.study.spec import load_study
from tests.helpers.records import OBJECTIVES, config


class FakeDevice:
    """Says what it is told, and counts how often it was timed."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name, self.error, self.exact, self.timed = name, error, False, list[Work]()

    def timed_in(self, work: Work) -> str:
        return f"seconds on {self.name}"

    def seconds(self, work: Work, should_stop: Callable[[], bool]) -> Timed:
        self.timed.append(work)
        if self.error:
            raise self.error
        return Timed(0.4, 0.1, 3.0)


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path}/toy.db"
    open_study(open_storage(found), "toy", OBJECTIVES)
    return found


def worker(url: str, device: FakeDevice, folder: Path) -> Calibration:
    return Calibration(reopen_study(url, "toy", 60), device, folder / "runs" / "toy" / ".lock")


def never() -> bool:
    return False


def kinds(url: str) -> list[tuple[Work, str]]:
    return [(each.work, each.timed_in) for each in scale_of(reopen_study(url, "toy", 60)).calibrations]


def test_workers_of_one_kind_that_begin_at_once_time_it_once(url: str, tmp_path: Path) -> None:
    device = FakeDevice("a")
    workers = [worker(url, device, tmp_path) for _ in range(6)]
    threads = [threading.Thread(target=each.before, args=(config("lora"), never)) for each in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert device.timed == ["encoder"]
    assert kinds(url) == [("encoder", "seconds on a")]


def test_texts_are_timed_once_a_worker_has_a_trial_of_them(url: str, tmp_path: Path) -> None:
    device = FakeDevice("a")
    mine = worker(url, device, tmp_path)
    for method in ("tfidf", "lora", "tfidf", "probe"):
        mine.before(config(method), never)
    assert device.timed == ["texts", "encoder"]
    worker(url, other := FakeDevice("b"), tmp_path).before(config("lora"), never)
    assert other.timed == ["encoder"]
    assert kinds(url)[1:] == [("encoder", "seconds on a"), ("encoder", "seconds on b")]


def test_a_device_that_cannot_be_timed_is_said_and_trains_all_the_same(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = FakeDevice("a", RuntimeError("no such kernel"))
    mine = worker(url, device, tmp_path)
    for _ in range(2):
        mine.before(config("lora"), never)
    assert device.timed == ["encoder"]
    assert capsys.readouterr().err == "seconds on a are not measured: RuntimeError: no such kernel\n"
    assert kinds(url) == []


@pytest.mark.parametrize("shown", [(0.0, 0.1), (0.1, 0.0), (-1e-9, 0.1), (float("nan"), 0.1)])
def test_what_a_clock_cannot_show_is_no_measurement(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: tuple[float, float]
) -> None:
    """Every view would divide by it."""
    monkeypatch.setattr(FakeDevice, "seconds", lambda *_: Timed(*shown))
    worker(url, FakeDevice("a"), tmp_path).before(config("lora"), never)
    assert kinds(url) == []


def test_an_interrupted_worker_leaves_it_to_the_next(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "LOOK_SECONDS", 0.01)
    mine = worker(url, FakeDevice("a", Interrupted("stop")), tmp_path)
    with pytest.raises(Interrupted, match="stop"):
        mine.before(config("lora"), never)
    with FileLock(mine.lock), pytest.raises(Interrupted, match="another worker timed the device"):
        mine.before(config("lora"), lambda: True)
    worker(url, FakeDevice("a"), tmp_path).before(config("lora"), never)
    assert kinds(url) == [("encoder", "seconds on a")]


def test_a_folder_that_cannot_be_written_keeps_nobody_from_measuring(url: str, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    worker(url, FakeDevice("a"), tmp_path).before(config("lora"), never)
    assert kinds(url) == [("encoder", "seconds on a")]


STUDY = """\
name: toy
data: {source: rows.csv, text: text, label: label}
backbones: [tiny]
training: {epochs: 3}
methods: {%s}
"""


@pytest.mark.parametrize(
    ("methods", "work", "timed"),
    [
        ("tfidf: {}, probe: {}, lora: {}, full: {}", "encoder", "full"),
        ("tfidf: {}, probe: {}, prefix: {}, lora: {}", "encoder", "prefix"),
        ("none: {}, probe: {}", "encoder", "probe"),
        ("tfidf: {}, none: {}", "encoder", "none"),
        ("probe: {}, tfidf: {}", "texts", "tfidf"),
    ],
)
def test_what_computes_most_is_timed(tmp_path: Path, methods: str, work: Work, timed: str) -> None:
    (tmp_path / "toy.yaml").write_text(STUDY % methods)
    assert timed_config(load_study(tmp_path / "toy.yaml"), work).method == timed
