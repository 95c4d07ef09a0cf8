"""A worker process of `confirm` that trains nothing: `python -m tests.helpers.fake_confirm_worker`."""

from __future__ import annotations

from functools import partial

from peftsearch.confirm.worker import confirm_task
from peftsearch.workers.worker import main
from tests.helpers.fake_tester import tester

if __name__ == "__main__":
    main(partial(confirm_task, tester))
