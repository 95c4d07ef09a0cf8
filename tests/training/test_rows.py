"""Rows are what was tokenised, in the order of the data or by length."""

from __future__ import annotations

import datasets

from peftsearch.training.rows import TokenRows


def tokens() -> datasets.Dataset:
    ids = [[5, 6, 7], [8], [9, 10]]
    return datasets.Dataset.from_dict(
        {"input_ids": ids, "token_type_ids": [[0, 0, 1], [0], [0, 1]], "label": [1, 0, 2], "length": [3, 1, 2]}
    )


def test_rows_keep_their_tokens_and_labels() -> None:
    rows = TokenRows(tokens())
    columns, label = rows[2]
    assert columns["input_ids"].tolist() == [9, 10]
    assert columns["token_type_ids"].tolist() == [0, 1]
    assert label == 2


def test_selected_rows_are_the_selected_ones() -> None:
    rows = TokenRows(tokens().select([2, 0]))
    assert [rows[i][0]["input_ids"].tolist() for i in range(2)] == [[9, 10], [5, 6, 7]]


def test_sorted_rows_are_in_order_of_length() -> None:
    rows = TokenRows(tokens(), sort=True)
    assert [len(rows[i][0]["input_ids"]) for i in range(3)] == [1, 2, 3]
    assert [rows[i][1] for i in range(3)] == [0, 2, 1]
