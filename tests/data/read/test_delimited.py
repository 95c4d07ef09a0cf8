import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table
from peftsearch.data.read.delimited import read_delimited
from peftsearch.data.read.formats import Request

WANTED = Request(("text", "label"))


def read(text: str, name: str = "a.csv", request: Request = WANTED, encoding: str = "utf-8") -> Table:
    return read_delimited(text.encode(encoding), name, request)


@pytest.mark.parametrize(("delimiter", "word"), [(",", ""), ("\t", "tabs"), (";", "semicolons"), ("|", "bars")])
def test_the_delimiter_is_the_one_that_gives_the_columns(delimiter: str, word: str) -> None:
    table = read(f"text{delimiter}label\nwell{delimiter}a\n")
    assert table.columns["label"] == ["a"]
    assert table.notes == ((f"a.csv separates its columns by {word}",) if word else ())


def test_a_delimiter_in_the_texts_does_not_mislead() -> None:
    table = read("text;label\na, b, c, d;x\ne, f, g, h;y\n", name="a.txt")
    assert table.columns == {"text": ["a, b, c, d", "e, f, g, h"], "label": ["x", "y"]}


def test_words_that_look_like_missing_values_are_words() -> None:
    table = read("text,label\nNA,null\n,None\n")
    assert table.columns == {"text": ["NA", None], "label": ["null", "None"]}


def test_quoted_fields_hold_delimiters_quotes_and_lines() -> None:
    table = read('text,label\n"a, ""b""\nc",x\nd,y\n')
    assert table.columns["text"] == ['a, "b"\nc', "d"]


def test_stray_quotes_swallow_no_lines() -> None:
    table = read('text\tlabel\n"so he said\tx\nfine\ty\nthe 6" nail\tx\n"again\ty\n', name="a.tsv")
    assert table.columns["text"] == ['"so he said', "fine", 'the 6" nail', '"again']
    assert table.notes == ("a.tsv has stray quotation marks in 2 rows; taken as they stand",)


def test_lines_of_unequal_length_are_counted_and_the_first_is_shown() -> None:
    with pytest.raises(UserError) as caught:
        read("text,label\na,x\nb, c,y\nd, e,y\n")
    assert str(caught.value) == (
        "data.source: a.csv, line 3: 3 fields, but the first line has 2 (1 more such lines); "
        "put fields that hold commas in quotation marks, and double those within"
    )


def test_a_file_without_a_header_gets_its_names_from_the_study() -> None:
    table = read(
        '"3","title","long text"\n"4","t","x"\n', request=Request(("text", "label"), ("label", "title", "text"))
    )
    assert table.columns == {"label": ["3", "4"], "title": ["title", "t"], "text": ["long text", "x"]}


def test_a_document_longer_than_csv_allows() -> None:
    assert len(str(read(f"text,label\n{'word ' * 60_000},x\n").columns["text"][0])) == 300_000
