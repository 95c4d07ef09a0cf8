"""A worker process whose trainer trains nothing: `python -m tests.helpers.fake_worker`, as `LocalEngine` starts it."""

from __future__ import annotations

from functools import partial

from peftsearch.workers.search_task import search_task
from peftsearch.workers.worker import main
from tests.helpers.fake_trainer import trainer

if __name__ == "__main__":
    main(partial(search_task, trainer))
