"""A parent process to kill and to interrupt: `python -m tests.helpers.optimize JOB WORKERS`, the job as JSON."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from peftsearch.storage.prepare import prepare
from peftsearch.study.spec import parse_study
from peftsearch.workers.job import Job
from peftsearch.workers.local import LocalEngine
from peftsearch.workers.supervisor import run_workers
from tests.helpers.search import FAKE_WORKER

if __name__ == "__main__":
    job = replace(Job.from_line(sys.argv[1]), since=time.time())
    study = prepare(parse_study(job.document, Path(job.path)), job.storage)
    print(json.dumps(asdict(run_workers(study, job, LocalEngine(int(sys.argv[2]), module=FAKE_WORKER)))))
