"""The bars of a search: complete at every width, with what is known and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from peftsearch.core.progress import StepReport
from peftsearch.report.running import running_view
from peftsearch.storage.liveness.worker_identity import identity
from peftsearch.storage.records import Record
from tests.helpers.records import config, report

SETTINGS = {"learning_rate": 3.1e-4, "rank": 16, "alpha_ratio": 4, "targets": "query_value"}


def running(**changes: Any) -> Record:
    """The 150th of 375 steps, 80 s after its start."""
    now = datetime.now()
    made: dict[str, Any] = {
        "curve": (report(1, 0.8123),),
        "worker": identity("cpu"),
        "started": now - timedelta(seconds=80),
        "last_step": now.timestamp(),
        "heartbeat": now.timestamp(),
        "slowest_step": 1.0,
        "at": StepReport(150, 375, 0.41234),
    }
    return replace(Record(12, "running", config("lora", **SETTINGS)), **{**made, **changes})


def shown(*trials: Record, width: int = 80, quality: str = "macro_f1") -> list[str]:
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(*running_view(trials, quality), sep="\n")
    return [line.rstrip() for line in captured.get().splitlines() if line.strip()]


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_the_bar_takes_the_width_and_no_number_is_cut(width: int) -> None:
    bar, *facts = shown(running(), width=width)
    assert bar.startswith("trial 12 lora ")
    assert bar.endswith(" 40 %")
    assert len(bar) == width
    assert max(map(len, facts)) <= width
    assert " ".join(line.strip() for line in facts) == (
        "epoch 2/3, step 150/375, loss 0.412, best macro F1 0.8123, 1 min 20 s so far, about 2 min 0 s left, "
        "lr 3.1e-4, rank 16, alpha/rank 4, targets query_value"
    )
    cut = [line.strip(" ,").rsplit(", ")[-1] for line in facts[:-1]]
    assert all(fact in SHOWN for fact in cut), "a line ends within a fact"


SHOWN = (
    "epoch 2/3", "step 150/375", "loss 0.412", "best macro F1 0.8123", "1 min 20 s so far", "about 2 min 0 s left",
    "lr 3.1e-4", "rank 16", "alpha/rank 4",
)  # fmt: skip


def test_before_the_first_step_it_says_that_the_trial_starts() -> None:
    bare = running(at=None, curve=(), last_step=None, slowest_step=None)
    assert shown(bare, width=120) == [
        "trial 12 lora  starting",
        "  1 min 20 s so far, lr 3.1e-4, rank 16, alpha/rank 4, targets query_value",
    ]
    assert shown(replace(bare, config=None)) == ["trial 12  starting", "  1 min 20 s so far"]


def test_a_worker_of_an_earlier_version_tells_no_steps() -> None:
    assert shown(running(at=None), width=120)[:2] == [
        "trial 12 lora  training",
        "  epoch 1/3, best macro F1 0.8123, 1 min 20 s so far, lr 3.1e-4, rank 16, alpha/rank 4, targets query_value",
    ]


def test_an_epoch_that_has_ended_counts_before_its_steps_are_told() -> None:
    """The curve is written at once, the steps with the next beat."""
    ended = running(curve=(report(1, 0.8), report(2, 0.8)), at=StepReport(120, 375))
    text = " ".join(shown(ended, width=120))
    assert "67 %" in text
    assert "epoch 3/3, step 250/375" in text


def test_in_its_last_evaluation_a_trial_stands_in_its_last_epoch() -> None:
    text = " ".join(shown(running(at=StepReport(375, 375, 0.1), curve=tuple(report(n, 0.8) for n in (1, 2, 3)))))
    assert "100 %" in text
    assert "epoch 3/3, step 375/375" in text
    assert "left" not in text


def test_a_trial_whose_worker_is_gone_has_no_time_left() -> None:
    gone = datetime.now().timestamp() - 400
    text = " ".join(shown(running(last_step=gone, heartbeat=gone), width=200))
    assert "no sign of life for 6 min 40 s" in text
    assert "about" not in text


def test_a_cost_has_no_best_so_far() -> None:
    assert "best" not in " ".join(shown(running(), quality="train_seconds"))


def test_bars_stand_under_each_other() -> None:
    bars = [line for line in shown(running(), replace(running(), number=3)) if line.startswith("trial")]
    assert len({line.index("━") for line in bars}) == 1


def test_a_trial_on_another_machine_says_on_which() -> None:
    elsewhere = running(worker={**identity("cpu"), "host": "beta/4026531836"}, at=None, curve=())
    assert shown(elsewhere)[1].startswith("  on beta, 1 min 20 s so far, ")
