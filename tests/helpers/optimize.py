"""A parent process to kill and to interrupt: `python -m tests.helpers.optimize JOB WORKERS`, the job as JSON."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace

from peftsearch.search.job import Job
from peftsearch.search.local import run_workers
from peftsearch.search.setup import prepare
from peftsearch.study.spec import load_study

if __name__ == "__main__":
    job = replace(Job.from_line(sys.argv[1]), since=time.time())
    study = prepare(load_study(job.study), job.storage)
    print(json.dumps(asdict(run_workers(study, job, workers=int(sys.argv[2])))))
