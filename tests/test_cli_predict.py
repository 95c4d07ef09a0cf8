"""Labelling a file on the command line: into a file, into a pipe, from a pipe."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from peftsearch import api
from peftsearch.cli import main
from peftsearch.cli.predict import MOST_REPORTED, is_file
from tests.helpers.labelling import lengths_classifier
from tests.helpers.sheets import ods, xlsx


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "load_classifier", lambda folder: lengths_classifier())
    return tmp_path


def run(*arguments: str, standard_input: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["predict", "DIR", *arguments], input=standard_input)


def test_into_a_file(work: Path) -> None:
    (work / "in.csv").write_text('id,text\n1,abcd\n2,"a, ""b"""\n')
    done = run("--file", "in.csv", "--out", "out.csv")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "labelled 2 of 2 rows in out.csv\n")
    assert (work / "out.csv").read_text() == 'id,text,label,probability\n1,abcd,short,0.96\n2,"a, ""b""",short,0.94\n'
    again = run("--file", "in.csv", "--out", "out.csv")
    assert (again.exit_code, again.stderr) == (
        2,
        "Error: --out out.csv: is there already; to replace it, add --overwrite\n",
    )
    assert run("--file", "in.csv", "--out", "out.csv", "--overwrite", "--all-probabilities").exit_code == 0
    header = next(csv.reader((work / "out.csv").open()))
    assert header == ["id", "text", "label", "probability", "probability_long", "probability_short"]


def test_broken_rows_are_told_and_do_not_stop_the_rest(work: Path) -> None:
    (work / "in.jsonl").write_text('{"text": "abcd"}\n{"text":\n{"text": " "}\n{"texts": "x"}\n{"text": "ab"}\n')
    done = run("--file", "in.jsonl", "--out", "out.jsonl")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "in.jsonl, line 2: not JSON (Expecting value)",
        "in.jsonl, line 3: no text",
        "in.jsonl, line 4: no column 'text'; columns: texts",
        "labelled 2 of 5 rows in out.jsonl; 3 without a label",
    ]
    assert [json.loads(line) for line in (work / "out.jsonl").read_text().splitlines()] == [
        {"text": "abcd", "label": "short", "probability": 0.96},
        {"label": None, "probability": None},
        {"text": " ", "label": None, "probability": None},
        {"texts": "x", "label": None, "probability": None},
        {"text": "ab", "label": "short", "probability": 0.98},
    ]
    quiet = run("--file", "in.jsonl", "--json", "--quiet")
    assert quiet.stderr.splitlines() == done.stderr.splitlines()[:-1], "what is wrong is told, and nothing else"
    listed = json.loads(quiet.stdout)
    assert [item["label"] for item in listed] == ["short", None, None, None, "short"]
    assert listed[1] == {
        **dict.fromkeys(("text", "label", "probability", "probabilities")),
        "problem": "line 2: not JSON (Expecting value)",
    }


def test_of_many_broken_rows_the_first_are_told(work: Path) -> None:
    (work / "in.csv").write_text("n,text\n" + "1,\n" * 99)
    lines = run("--file", "in.csv", "--batch-size", "1").stderr.splitlines()
    assert len(lines) == MOST_REPORTED + 2
    assert lines[MOST_REPORTED:] == [
        "more broken rows are counted and not told",
        "labelled 0 of 99 rows; 99 without a label",
    ]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("in.txt", "ab\n", "text,label,probability\nab,short,0.98\n"),
        ("in.tsv", "text\tn\nab\t1\n", "text\tn\tlabel\tprobability\nab\t1\tshort\t0.98\n"),
        ("in.jsonl", '{"text": "ab"}\n', '{"text": "ab", "label": "short", "probability": 0.98}\n'),
        ("in.json", '[{"text": "ab"}]', '[\n{"text": "ab", "label": "short", "probability": 0.98}\n]\n'),
    ],
)
def test_a_pipe_gets_the_format_of_the_file(work: Path, name: str, content: str, expected: str) -> None:
    (work / name).write_text(content)
    done = run("--file", name)
    assert (done.exit_code, done.stdout, done.stderr) == (0, expected, "labelled 1 of 1 rows\n")
    kind = name.removeprefix("in.")
    assert run("--file", "-", "--format", kind, standard_input=content).stdout == expected
    long = "word " * 18
    assert f"{long}ab" in run("--file", "-", standard_input=f"{long}ab\n").stdout, "a line was wrapped"


def test_a_large_standard_input_in_windows_1252(work: Path) -> None:
    done = run("--file", "-", "--encoding", "cp1252", standard_input="caf\xe9\n".encode("cp1252") * 9)
    assert done.stdout_bytes.decode().count("café,short,0.96\n") == 9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--file", "none.csv"], "--file none.csv: no such file"),
        (["--file", "in.csv", "--out", "a.doc"], "--out a.doc: has no known format; valid: .csv, .json, .jsonl, "
         ".ndjson, .parquet, .tsv, .txt, each also .gz, .bz2, .xz"),
        (["--file", "in.csv", "--out", "a.json", "--json"],
         "--json prints to the standard output; leave it out, and give --out a name that ends in .json"),
        (["--file", "in.csv", "--text-column", "txt"], "--file in.csv: no column 'txt'; columns: text; "
         "name the column of the text with --text-column"),
        (["--text", "a", "--out", "a.csv"], "--out is for --file"),
        (["--text", "a", "--format", "csv"], "--format is for --file"),
        (["--text", " "], "text 1 is blank; leave it out"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(work: Path, arguments: list[str], said: str) -> None:
    (work / "in.csv").write_text("text\na\n")
    done = run(*arguments)
    assert (done.exit_code, done.stderr) == (2, f"Error: {said}\n")
    assert [path.name for path in work.iterdir()] == ["in.csv"]


def test_unsure(work: Path) -> None:
    answers: list[dict[str, Any]] = json.loads(
        run("--text", "abc", "--text", "x" * 40, "--min-probability", "0.7", "--json").stdout
    )
    assert [answer["label"] for answer in answers] == ["short", "unsure"]
    assert answers[1]["probability"] == pytest.approx(0.6)


FAKE = """
import sys
from peftsearch import api
from peftsearch.cli import main
from tests.helpers.labelling import lengths_classifier
from tests.helpers.sheets import ods, xlsx
api.load_classifier = lambda folder: lengths_classifier()
main(["predict", "DIR", "--file", "-"])
"""


def test_a_pipe_that_is_closed_ends_it_quietly(work: Path) -> None:
    (work / "in.txt").write_text("a text that is repeated often\n" * 50_000)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (work / "in.txt").open("rb") as given:
        child = subprocess.Popen(
            [sys.executable, "-c", FAKE], stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == b"text,label,probability\n"
        child.stdout.close()
        assert child.stderr.read() == b""
        child.stderr.close()
        assert child.wait(timeout=60) == 1


@pytest.mark.parametrize(("ending", "written"), [(".xlsx", xlsx), (".ods", ods)])
def test_a_spreadsheet_is_labelled_as_its_rows_in_csv_are(work: Path, ending: str, written: Any) -> None:
    chance = random.Random(7)
    rows: list[list[Any]] = [
        [number, "x" + "".join(chance.choices("abc äß,'", k=chance.randrange(2, 20))) + "x", chance.choice([0.5, 2.25])]
        for number in range(1, 31)
    ]
    (work / f"in{ending}").write_bytes(written({"Texts": [["id", "text", "share"], *rows], "Empty": []}))
    with (work / "in.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text", "share"], *rows])
    for name in (f"in{ending}", "in.csv"):
        done = run("--file", name, "--out", f"{name}.out.csv")
        assert (done.exit_code, done.stderr) == (0, f"labelled 30 of 30 rows in {name}.out.csv\n")
    assert (work / f"in{ending}.out.csv").read_text() == (work / "in.csv.out.csv").read_text()
    assert run("--file", f"in{ending}").stdout == run("--file", "in.csv").stdout
    refused = run("--file", f"in{ending}", "--out", f"o.k{ending}")
    assert (refused.exit_code, refused.stderr) == (
        2,
        f"Error: --out o.k{ending}: spreadsheets are read and not written; write CSV, which their programs open: "
        "--out o.k.csv\n",
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty: it has no bytes"),
        (b"text,label\n", "cannot be read as a spreadsheet: File is not a zip file"),
        (xlsx({"A": [["text"], ["x"]], "B": [["text"], ["y"]]}),
         "has rows in 2 sheets ('A', 'B'); save the one you mean as CSV"),
    ],
)  # fmt: skip
def test_a_spreadsheet_that_is_none(work: Path, content: bytes, told: str) -> None:
    (work / "in.xlsx").write_bytes(content)
    done = run("--file", "in.xlsx")
    assert (done.exit_code, done.stderr) == (2, f"Error: --file in.xlsx {told}\n")


def test_a_spreadsheet_without_the_extra(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    (work / "in.ods").write_bytes(ods({"A": [["text"], ["x"]]}))
    assert run("--file", "in.ods").stderr == (
        "Error: --file in.ods is a spreadsheet; save it as CSV, or pip install 'peftsearch[excel]'\n"
    )


def test_a_bar_is_for_rows_that_go_into_a_file_and_not_for_those_that_a_pipe_may_show(work: Path) -> None:
    reading, writing = os.pipe()
    with (work / "out.csv").open("w") as file, os.fdopen(reading), os.fdopen(writing, "w") as pipe:
        assert is_file(file)
        assert not is_file(pipe)
    assert not is_file(io.StringIO())
