"""A worker process whose trainer trains nothing: `python -m tests.helpers.fake_worker`, as `LocalEngine` starts it."""

from __future__ import annotations

from peftsearch.workers.worker import main
from tests.helpers.fake_trainer import trainer

if __name__ == "__main__":
    main(trainer)
