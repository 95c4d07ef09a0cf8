from __future__ import annotations

import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table
from peftsearch.data.columns import columns_of, texts_of
from peftsearch.data.section import DataSection
from tests.helpers.files import prepare


@pytest.mark.parametrize(
    ("written", "columns"),
    [
        ("text", ("text",)),
        ("#1 String", ("#1 String",)),
        ("{title} {body}", ("title", "body")),
        ("{title}: {title}", ("title",)),
        ("{}", ("{}",)),
    ],
)
def test_columns_of_a_text(written, columns):
    assert columns_of(written) == columns


def test_what_one_column_lacks_is_left_out_and_a_row_without_any_is_missing():
    table = Table("t", {"title": ["A", None, "", None], "body": ["b", "c", "d {title}", None], "year": [1, 2.0, 3, 4]})
    assert list(texts_of(table, "{title} {body}")) == ["A b", "c", "d {title}", None]
    assert texts_of(table, "{year}")[:2] == ["1", "2"]
    assert texts_of(table, "body") == list(table.columns["body"])


def test_a_study_puts_texts_together(tmp_path):
    rows = "".join(f"{i % 2},Title {i},body {i}\n" for i in range(20))
    (tmp_path / "news.csv").write_text("class,title,body\n" + rows)
    data = prepare(tmp_path, "news.csv", text="{title}. {body}", label="class")
    assert set(data.splits["train"]["text"]) < {f"Title {i}. body {i}" for i in range(20)}
    with pytest.raises(UserError) as caught:
        prepare(tmp_path, "news.csv", text="{titel} {body}", label="class")
    assert str(caught.value) == "data.text: no column 'titel' in news.csv; columns: class, title, body"


def test_names_for_files_are_not_part_of_what_the_data_is():
    plain = DataSection(source="hub:x")
    named = DataSection(source="hub:x", files={"text": "{a} {b}", "label": "c", "map_labels": {1: "one"}})
    assert named.model_dump() == plain.model_dump()
    assert named.files.map_labels == {"1": "one"}
