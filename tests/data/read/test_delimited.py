import csv
import io
import random

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


def quoted(rows: list[tuple[str, str]], delimiter: str = ",") -> str:
    lines = [("text", "label"), *rows]
    return "".join(delimiter.join(f'"{field}"' for field in line) + "\n" for line in lines)


GOOD = [("a, b", "cat"), ('say ""hi""', "dog"), ("C:\\new\\table", "cat"), ("two\nlines, ok", "dog"), ("plain", "cat")]
READ = ["a, b", 'say "hi"', "C:\\new\\table", "two\nlines, ok", "plain"]
ODD = [
    ('"a \\"good\\" cat","dog"', 'a "good" cat'),
    ('"a "good" cat","dog"', 'a "good" cat'),
    ('"she said "no", twice","dog"', 'she said "no", twice'),
    ('the 6" nail,dog', 'the 6" nail'),
    ('the 6" nail,"dog"', 'the 6" nail'),
    ('"it ends with \\"","dog"', 'it ends with "'),
    ('"\\"two\\" lines,\nall "", of them","dog"', '"two" lines,\nall ", of them'),
]


@pytest.mark.parametrize("place", range(len(GOOD) + 1))
@pytest.mark.parametrize(("line", "text"), ODD)
def test_the_repair_of_one_row_leaves_the_others_alone(line: str, text: str, place: int) -> None:
    before, after = quoted(GOOD[:place]), quoted(GOOD[place:]).partition("\n")[2]
    table = read(f"{before}{line}\n{after}")
    assert table.columns["text"] == [*READ[:place], text, *READ[place:]]
    assert table.columns["label"] == [*(x for _, x in GOOD[:place]), "dog", *(x for _, x in GOOD[place:])]
    assert table.notes in (
        ('a.csv writes quotation marks as \\" in 1 row; taken as they stand',),
        ("a.csv has stray quotation marks in 1 row; taken as they stand",),
        () if line.startswith("the") else None,  # within a field that is not enclosed they are ordinary
    )


@pytest.mark.parametrize("line", ['"open, and not closed', '"said "x", and left\nthen came",dog', '"a, b, c'])
def test_a_line_that_cannot_be_mended_is_named(line: str) -> None:
    with pytest.raises(UserError) as caught:
        read(f"text,label\n{line}\nfine,cat\n")
    assert str(caught.value) == (
        "data.source: a.csv, line 2: quotation marks that neither enclose a field nor are doubled; correct the line"
    )


def test_a_stray_quote_with_its_partner_swallows_no_rows_of_tabs() -> None:
    table = read('text\tlabel\n"so\tx\nfine\ty\nwell"\tx\nlast\ty\n', name="a.tsv")
    assert table.columns == {"text": ['"so', "fine", 'well"', "last"], "label": ["x", "y", "x", "y"]}


def test_a_field_that_holds_rows_is_told() -> None:
    table = read('text,label\n"so,x\nfine,y\nmore,x\nwell",x\nlast,y\n')
    assert table.columns["text"] == ["so,x\nfine,y\nmore,x\nwell", "last"]
    assert table.notes == ("a.csv, line 5: a field holds 2 lines like rows; check its quotes",)


@pytest.mark.parametrize("header", ["text,label,text", "text,label,label", '"text", label ,text ', "text,label,x,x"])
def test_two_columns_of_one_name(header: str) -> None:
    twice = "x" if "x,x" in header else "label" if "label,label" in header else "text"
    with pytest.raises(UserError) as caught:
        read(f"{header}\na,b,c\n")
    assert str(caught.value) == f"data.source: a.csv has two columns {twice!r}; rename one of them"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "^"])
def test_the_first_line_of_excel_names_the_delimiter(delimiter: str, end: str) -> None:
    lines = [f"sep={delimiter}", f"text{delimiter}label", f"a{delimiter}b"]
    assert read(end.join(lines) + end).columns == {"text": ["a"], "label": ["b"]}


ROW_NUMBERS = "a.csv has row numbers, which its first line does not name; left out"
SEPARATORS = "a.csv has separators at the ends of lines; they are left out"


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ('"text","label"\n"1","a, b","x"\n"2","c","y"\n', (ROW_NUMBERS,)),
        ("text,label\n7,'a',x\n3,c,y\n", (ROW_NUMBERS,)),
        ('"","text","label"\n"1","a","x"\n', ()),
        ("text,label,\na,x,\nb,y,\n", ()),
        ("text,label\na,x,\nb,y,\n", (SEPARATORS,)),
        ("text,label\na,x,,,\nb,y\n", (SEPARATORS,)),
        ("text,label,,\na,x,,\n", ()),
    ],
)
def test_columns_without_a_name(text: str, notes: tuple[str, ...]) -> None:
    table = read(text)
    assert set(table.columns["label"]) <= {"x", "y"}
    assert table.notes == notes


@pytest.mark.parametrize("rows", ["a,b,x\nc,d,y\n", "1,a,x\n1,b,y\n", "1,a,x\nb,y\n"])
def test_extra_columns_that_are_no_row_numbers(rows: str) -> None:
    with pytest.raises(UserError, match="3 fields, but the first line has 2"):
        read(f"text,label\n{rows}")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x1f\x8brest", "a gzip file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS (run git lfs pull)"),
        (b"<!DOCTYPE html>\n<html>", "a web page"),
        (b"%PDF-1.4", "a PDF"),
    ],
)
def test_a_file_of_another_kind_is_called_so(content: bytes, kind: str) -> None:
    with pytest.raises(UserError) as caught:
        read_delimited(content, "a.csv", WANTED)
    assert str(caught.value) == (
        f"data.source: a.csv is {kind} by its content, not text in columns; name the data itself"
    )


@pytest.mark.parametrize("seed", range(40))
def test_drawn_tables_with_odd_rows_among_them(seed: int) -> None:
    """Tables of every dialect; the odd rows write `\\"` or forget to double a quotation mark."""
    draw = random.Random(seed)
    delimiter, quoting = draw.choice(",;|"), draw.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC])
    pieces = ["good", "bad", delimiter, " ", '"', "\\n", "C:\\dir", "é", "5", ",", "'", "\u2028"]
    file, expected = io.StringIO(newline=""), []
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=draw.choice(["\n", "\r\n"]))
    writer.writerow(["text", "label"])
    for row in range(60):
        text, label = f"{row} " + "".join(draw.choices([*pieces, "\n"], k=draw.randint(1, 9))), draw.choice(["x", "y"])
        if draw.random() < 0.1:
            text = f'{row} says "hi"{draw.choice(["", delimiter + " twice", "."])}'
            inside = draw.choice([text.replace('"', '\\"'), text])
            file.write(f'"{inside}"{delimiter}"{label}"\n')
        else:
            writer.writerow([text, label])
        expected.append((text, label))
    table = read(file.getvalue())
    assert list(zip(table.columns["text"], table.columns["label"], strict=True)) == expected
