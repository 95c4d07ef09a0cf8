"""A driver to interrupt and to kill: `python -m tests.helpers.ray_driver JOB ADDRESS WORKERS`, the job as JSON."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

from peftsearch.storage.prepare import prepare
from peftsearch.study.spec import parse_study
from peftsearch.workers import ray_engine
from peftsearch.workers.engine import Wanted
from peftsearch.workers.job import Job
from peftsearch.workers.supervisor import run_workers
from tests.helpers.search import FAKE_WORKER

if __name__ == "__main__":
    ray_engine.PASSED_ON = ("FAKE_", "PYTHONPATH")
    job = replace(Job.from_line(sys.argv[1]), since=time.time())
    study = prepare(parse_study(job.document, Path(job.path)), job.storage)
    with closing(ray_engine.engine_of(Wanted(int(sys.argv[3]), address=sys.argv[2], module=FAKE_WORKER))) as engine:
        print(json.dumps(asdict(run_workers(study, job, engine))))
