"""`peftsearch` with a trainer that trains nothing: `python -m tests.helpers.worker_command worker --study …`."""

from __future__ import annotations

from functools import partial

from peftsearch.cli import main
from peftsearch.optimize import join
from peftsearch.workers.local import single_worker
from tests.helpers.search import FAKE_WORKER

if __name__ == "__main__":
    join.single_worker = partial(single_worker, module=FAKE_WORKER)
    main(prog_name="peftsearch")
