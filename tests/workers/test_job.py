from __future__ import annotations

from dataclasses import replace

from peftsearch.core.errors import UserError
from peftsearch.study.overrides import Overrides
from peftsearch.workers.job import Job, WorkerReport

JOB = Job("toy.yaml", "toy", "postgresql://me:hush@host/x", 12, "runs/toy")


def test_a_job_survives_the_pipe() -> None:
    line = JOB.for_worker(index=2, threads=3).to_line()
    assert line.count("\n") == 1
    assert Job.from_line(line) == JOB.for_worker(2, 3)


def test_what_stands_in_for_data_and_backbones_reaches_the_worker() -> None:
    job = replace(JOB, overrides=Overrides({"train": "/data/a.csv"}, {"label": "y"}, ("x", "y")))
    assert Job.from_line(job.to_line()) == job


def test_a_job_does_not_show_its_storage() -> None:
    assert "hush" not in repr(JOB)
    assert "hush" not in str([JOB])


def test_a_report_survives_the_pipe() -> None:
    report = WorkerReport.refused(UserError("no such file\nas x"))
    assert report.to_line().count("\n") == 1
    assert WorkerReport.from_line(report.to_line()) == report


def test_a_worker_that_died_has_no_report() -> None:
    assert WorkerReport.from_line("") is None
