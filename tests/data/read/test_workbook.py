import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table
from peftsearch.data.load import load_data
from peftsearch.data.read import packing
from peftsearch.data.read.files import Location, read_location
from peftsearch.data.read.formats import Request
from peftsearch.data.section import DataSection
from tests.helpers.sheets import Sheets, ods, xlsx

WRITERS: dict[str, Callable[[Sheets], bytes]] = {".xlsx": xlsx, ".ods": ods}
ROWS = [["text", "stars"], ["good, really", 5], ['<bad> & "so"', 1], [None, None], ["fine", None]]


def read(path: Path) -> Table:
    return read_location(Location(str(path)), Request(("text", "stars")))


@pytest.mark.parametrize("ending", WRITERS)
def test_a_sheet_is_read_as_any_table(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("python_calamine", reason="python-calamine is not installed")
    path = tmp_path / f"reviews{ending}"
    path.write_bytes(WRITERS[ending]({"Notes": [], "Reviews": ROWS}))
    columns = read(path).columns
    assert columns == {"text": ["good, really", '<bad> & "so"', "fine"], "stars": [5, 1, None]}


@pytest.mark.parametrize("ending", WRITERS)
def test_a_study_reads_a_sheet_like_the_same_csv(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("python_calamine", reason="python-calamine is not installed")
    rows = [[f"{word} number {i}", stars] for stars, word in ((1, "bad"), (5, "good")) for i in range(8)]
    (tmp_path / f"a{ending}").write_bytes(WRITERS[ending]({"S": [["text", "stars"], *rows]}))
    (tmp_path / "a.csv").write_text("text,stars\n" + "".join(f"{text},{stars}\n" for text, stars in rows))
    found = [
        load_data(DataSection(source=name, label="stars"), tmp_path, tmp_path / f"cache-{name}")
        for name in ("a.csv", f"a{ending}")
    ]
    assert found[0].fingerprint == found[1].fingerprint
    assert found[1].labels == ("1", "5")


def test_without_its_reader_a_sheet_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    (tmp_path / "a.xlsx").write_bytes(xlsx({"S": ROWS}))
    with pytest.raises(UserError) as caught:
        read(tmp_path / "a.xlsx")
    assert str(caught.value) == (
        "data.source: a.xlsx is a spreadsheet; save it as CSV, or pip install 'peftsearch[excel]'"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xlsx({"2023": ROWS, "2024": ROWS}),
         "data.source: a.xlsx has rows in 2 sheets ('2023', '2024'); save the one you mean as CSV"),
        (xlsx({"S": [["text", "text"], ["a", "b"]]}), "data.source: a.xlsx has two columns 'text'; rename one of them"),
        (b"text,stars\n", "data.source: a.xlsx cannot be read as a spreadsheet: File is not a zip file"),
        (ods({"S": ROWS})[:-30], "data.source: a.xlsx cannot be read as a spreadsheet: File is not a zip file"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    pytest.importorskip("python_calamine", reason="python-calamine is not installed")
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(UserError) as caught:
        read(tmp_path / "a.xlsx")
    assert str(caught.value) == message


def test_a_sheet_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("python_calamine", reason="python-calamine is not installed")
    monkeypatch.setattr(packing, "MOST_BYTES", 10_000)
    (tmp_path / "a.xlsx").write_bytes(xlsx({"S": [["text", "stars"], *([["again " * 100, 1]] * 100)]}))
    with pytest.raises(UserError, match=r"a\.xlsx is larger than the limit of .* GiB unpacked"):
        read(tmp_path / "a.xlsx")
