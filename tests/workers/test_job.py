from __future__ import annotations

from dataclasses import replace

from peftsearch.core.errors import UserError
from peftsearch.workers.job import Job, WorkerReport

JOB = Job(
    document={"name": "toy", "methods": {"full": {"learning_rate": 1e-5}}, "backbones": ["tiny"]},
    path="/studies/toy.yaml",
    name="toy",
    storage="postgresql://me:hush@host/x",
    budget=12,
    folder="runs/toy",
    sampler="tpe",
    pruner="none",
    seed=0,
    startup_trials=6,
    since=0.0,
)


def test_a_job_survives_the_pipe() -> None:
    line = JOB.for_worker(index=2, threads=3).to_line()
    assert line.count("\n") == 1
    assert Job.from_line(line) == replace(JOB, index=2, threads=3)


def test_a_job_does_not_show_its_storage() -> None:
    assert "hush" not in repr(JOB)
    assert "hush" not in str([JOB])


def test_a_report_survives_the_pipe() -> None:
    report = WorkerReport.refused(UserError("no such file\nas x"))
    assert report.to_line().count("\n") == 1
    assert WorkerReport.from_line(report.to_line()) == report


def test_a_worker_that_died_has_no_report() -> None:
    assert WorkerReport.from_line("") is None
