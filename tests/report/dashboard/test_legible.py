"""What only programs read makes no page wider than a window."""

from __future__ import annotations

import json
from pathlib import Path

from optuna_dashboard import wsgi

from peftsearch.report.dashboard.guard import guarded
from peftsearch.report.dashboard.legible import LONGEST_WORD, legible
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.confirm_queue import without_queues
from tests.helpers.records import complete, store
from tests.report.dashboard.test_guard import OURS, PORT, ask


def test_a_page_lists_no_attribute_with_a_word_that_no_line_holds(tmp_path: Path) -> None:
    stored = open_stored("toy", store(tmp_path, [complete(0, "lora", 0.9, 100, 1.0)]))
    long, short = "0f" * LONGEST_WORD, "f" * (LONGEST_WORD - 6)
    kept = {"a word": short, "words": " ".join([short] * 20), "listed": [short, 1, None], "nothing": None, "empty": ""}
    left = {"hashes": long, "inside": {"train": [{"hashes": long}]}, "pairs": ["ab", f"x {long}"]}
    for name, value in {**kept, **left}.items():
        stored.study.set_user_attr(name, value)
    pages = guarded(wsgi(without_queues(stored.storage, told=legible)), PORT, allow_edit=False)
    shown = {each["key"] for each in json.loads(ask(pages, "GET", "/api/studies/1", **OURS)[1])["user_attrs"]}
    assert shown >= kept.keys()
    assert not shown & left.keys()
    assert stored.study.user_attrs["hashes"] == long, "the storage keeps it"
