from __future__ import annotations

import random

import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table
from peftsearch.data.columns import columns_of, texts_of, without_header
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


def drawn_rows(seed: int, rows: int = 40) -> list[tuple[str, str]]:
    """Texts of a few words, each with one of two to five classes."""
    chance = random.Random(seed)
    words = [f"w{number}" for number in range(50)]
    classes = [f"class {chance.randrange(10**6)}" for _ in range(chance.randrange(2, 6))]
    return [(" ".join(chance.choices(words, k=chance.randrange(3, 20))), chance.choice(classes)) for _ in range(rows)]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("names", [("text", "label"), ("0", "1"), ("What do you think of us?", "Would you come back?")])
def test_a_file_without_a_first_row_of_names(tmp_path, seed, names):
    (first, kind), *others = drawn_rows(seed)
    for header, told in ((names, None), ((first, kind), True)):
        columns = zip(*([*others] if told else [(first, kind), *others]), strict=True)
        found = without_header(Table("rows.csv", dict(zip(header, map(list, columns), strict=True))))
        assert bool(found) == bool(told), found
        if found:
            assert found.startswith(f"the first row of rows.csv ({first[:10]}")
            assert found.endswith(") looks like texts and not like names; write the columns' names above it")


def test_a_study_is_told_of_the_missing_first_row(tmp_path):
    (tmp_path / "rows.csv").write_text("".join(f"this is text {i},{'ab'[i % 2]}\n" for i in range(30)))
    with pytest.raises(UserError) as caught:
        prepare(tmp_path, "rows.csv")
    assert str(caught.value) == (
        "data.text: no column 'text' in rows.csv; columns: this is text 0, a; the first row of rows.csv (this is text "
        "0, a) looks like texts and not like names; write the columns' names above it, or name them in data.columns"
    )
    assert len(prepare(tmp_path, "rows.csv", columns=["text", "label"]).splits["train"]) > 10


def test_names_that_the_file_has_and_the_study_gives_too(tmp_path):
    (tmp_path / "rows.csv").write_text("Text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(30)))
    notes = prepare(tmp_path, "rows.csv", columns=["text", "label"], min_rows=2).notes
    assert "the first row of rows.csv names the columns too; leave data.columns out, or it is read as data" in notes
