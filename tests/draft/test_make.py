"""A study that is made of a file: it loads, says what it means, and fits the rows."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.load import load_data
from peftsearch.draft.make import Draft, Wishes, draft_study, study_name
from peftsearch.draft.presets import EFFORTS, RANGES
from peftsearch.study.spec import StudySpec, load_study
from tests.helpers.tiny import tiny_model

HOSTILE = [
    'a"b', "a: b", "# a", "- a", "a\nname: other", "!!python/object:os", "&a", "*a", "%a", "'", "\\", "yes",
    "0111", "~", "a\u2028b\u0085c", "\U0001f600", "x" * 200,
]  # fmt: skip


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tiny_model(tmp_path / "model")
    return tmp_path


def write(file: Path, rows: int, header: Sequence[str] = ("text", "label"), classes: Sequence[str] = ("a", "b")) -> str:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(
            [header, *([f"the good cat number {i}", classes[i % len(classes)]] for i in range(rows))]
        )
    return str(file)


def made(source: str, **wishes: object) -> Draft:
    return draft_study(
        {"train": source}, "mine", Path("studies/mine.yaml"), Wishes(backbones=("./model",), **wishes)  # type: ignore[arg-type]
    )  # fmt: skip


def loaded(draft: Draft) -> StudySpec:
    draft.path.parent.mkdir(exist_ok=True)
    draft.path.write_text(draft.text, encoding="utf-8")
    return load_study(draft.path)


def test_the_study_loads_and_its_data_too(work: Path) -> None:
    draft = made(write(work / "reviews.csv", 60))
    spec = loaded(draft)
    assert (spec.name, spec.warnings, spec.data.source) == ("mine", (), "../reviews.csv")
    assert list(spec.methods) == ["tfidf", "probe", "bitfit", "lora", "full"]
    assert draft.warnings[1:] == (
        "seq_bn is not searched: method seq_bn cannot tune './model': reduction_factor is 64, but its width is 32",
    )
    data = load_data(spec.data, spec.folder, work / "cache")
    assert (data.labels, sum(map(len, data.splits.values()))) == (("a", "b"), 60)
    assert draft.found == (
        "reviews.csv: 60 rows, 2 classes",
        "text: 'text' (its name is usual for texts)",
        "label: 'label' (its name is usual for classes)",
        "classes: 'a' 30, 'b' 30",
        "searched: tfidf, probe, bitfit, lora, full, at most 15 epochs",
    )


def test_a_backbone_that_is_not_here_is_not_asked_what_fits_it(work: Path) -> None:
    write(work / "reviews.csv", 60)
    draft = draft_study({"train": "reviews.csv"}, "mine", Path("mine.yaml"), Wishes(backbones=("no/such-model",)))
    assert (list(loaded(draft).methods), draft.warnings) == (list(EFFORTS["balanced"].methods), ())


def test_every_key_has_a_comment(work: Path) -> None:
    lines = made(write(work / "reviews.csv", 60)).text.splitlines()
    methods = [f"  {name}: " for name in RANGES]
    bare = [
        line for before, line in pairwise(lines)
        if line and not line.lstrip().startswith("#") and "  # " not in line and not before.lstrip().startswith("# ")
        and not any(line.startswith(method) for method in methods)
    ]  # fmt: skip
    assert bare == []
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_any_name_is_only_a_name(work: Path, name: str) -> None:
    """Of a file, of columns and of a class: each comes back from the YAML as it is, and nothing else is in it."""
    file = work / f"{name.replace('/', '_')}.jsonl"
    rows = [{f"{name} t": f"the cat number {i}", name: name if i % 2 else "b"} for i in range(20)]
    rows += [{f"{name} t": "one of its kind", name: f"{name} few"}]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    draft = made(str(file), text=(f"{name} t",), label=name)
    spec = loaded(draft)
    assert (spec.name, spec.data.text, spec.data.label) == ("mine", f"{name} t", name)
    assert (spec.folder / str(spec.data.source)).resolve() == file.resolve()
    assert len(spec.data.drop_labels) == 1
    assert spec.backbones[0].name == "./model"
    assert load_data(spec.data, spec.folder, work / "cache").splits["train"].num_rows


def test_a_file_is_never_taken_for_something_else(work: Path) -> None:
    """A name that begins like a source of another kind, or like a home folder."""
    for name in ("hub:imdb.csv", "~x.csv", "package:a.csv"):
        write(work / name, 40)
        draft = draft_study({"train": name}, "mine", Path("mine.yaml"), Wishes(backbones=("model",)))
        draft.path.write_text(draft.text, encoding="utf-8")
        spec = load_study(draft.path)
        assert len(load_data(spec.data, spec.folder, work / "cache").labels) == 2


@pytest.mark.parametrize(
    ("rows", "effort", "epochs", "limit"),
    [
        (200, "quick", 10, None), (1_500, "quick", 6, None), (4_000, "quick", 3, 2_000),
        (1_500, "balanced", 13, None), (300, "thorough", 30, None),
    ],
)  # fmt: skip
def test_few_rows_are_read_more_often(work: Path, rows: int, effort: str, epochs: int, limit: int | None) -> None:
    spec = loaded(made(write(work / "reviews.csv", rows), effort=effort))
    assert (spec.training.epochs, spec.data.limit.train) == (epochs, limit)


def test_texts_are_cut_where_few_are_longer(work: Path) -> None:
    write(work / "reviews.csv", 60)
    assert loaded(made("reviews.csv")).data.max_length == 16
    (work / "long.csv").write_text("text,label\n" + "".join(f"{'cat ' * 90} {i},{i % 2}\n" for i in range(60)))
    assert loaded(made("long.csv")).data.max_length == 96


def test_the_splits_of_a_source_are_kept_and_the_test_split_is_not_read(work: Path) -> None:
    (work / "reviews").mkdir()
    write(work / "reviews" / "train.csv", 60)
    (work / "reviews" / "test.csv").write_bytes(b"\xff\xfe\x00 nothing that can be read")
    assert loaded(made("reviews")).data.source == "../reviews"
    sources = {"train": "reviews/train.csv", "test": "reviews/test.csv"}
    draft = draft_study(sources, "mine", Path("studies/mine.yaml"), Wishes(backbones=("./model",)))
    assert loaded(draft).data.source == {"train": "../reviews/train.csv", "test": "../reviews/test.csv"}
    assert "60 rows" in draft.found[0]


def test_pairs_of_texts(work: Path) -> None:
    (work / "pairs.csv").write_text("a,b,label\n" + "".join(f"cat {i},dog {i},{i % 2}\n" for i in range(40)))
    spec = loaded(made("pairs.csv", text=("a", "b")))
    assert spec.data.text == ["a", "b"]
    assert load_data(spec.data, spec.folder, work / "cache").pair


def test_parquet_is_looked_at_too(work: Path) -> None:
    import pandas

    pandas.DataFrame({"body": [f"the cat {i}" for i in range(40)], "stars": [i % 5 for i in range(40)]}).to_parquet(
        work / "reviews.parquet"
    )
    assert made("reviews.parquet").found[:3] == (
        "reviews.parquet: 40 rows, 5 classes",
        "text: 'body' (its name is usual for texts)",
        "label: 'stars' (its name is usual for classes)",
    )


def test_a_limit_that_is_given_is_written(work: Path) -> None:
    spec = loaded(made(write(work / "reviews.csv", 200), limit={"train": 50, "validation": 20}))
    assert (spec.data.limit.train, spec.data.limit.validation, spec.training.epochs) == (50, 20, 15)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"effort": "quik"}, "no effort 'quik'; did you mean 'quick'?"),
        ({"label": "stars"}, "--label: no column 'stars' in reviews.csv; columns: 'text', 'label'"),
        ({"text": ("label",), "label": "label"}, "--text and --label both name 'label'; name two columns"),
    ],
)
def test_wishes_that_cannot_be_met(work: Path, wishes: dict[str, object], message: str) -> None:
    write(work / "reviews.csv", 20)
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        made("reviews.csv", **wishes)


def test_labels_that_are_measurements_are_refused(work: Path) -> None:
    (work / "r.csv").write_text("text,score\n" + "".join(f"the cat {i},{i}.5\n" for i in range(20)))
    with pytest.raises(UserError) as caught:
        made("r.csv", label="score")
    assert str(caught.value) == (
        "data.label: column 'score' in r.csv, row 1: '0.5' is a number that is not whole: a label is a class "
        "(regression is not supported); put values into classes"
    )


def test_names_of_studies() -> None:
    sources = ("a/Reviews 2024.csv.gz", "https://x.org/data.csv?key=1", "…", "emotion.csv", "folder/")
    assert [study_name(source, ["emotion"]) for source in sources] == [
        *("Reviews-2024", "data", "my-study", "emotion-data", "folder"),
    ]


def test_presets_search_what_is_written_for_them() -> None:
    assert {method for effort in EFFORTS.values() for method in effort.methods} == set(RANGES)
    ordered = list(EFFORTS.values())
    for less, more in pairwise(ordered):
        assert set(less.methods) < set(more.methods)
        assert (less.trials, less.texts_read, less.most_epochs) < (more.trials, more.texts_read, more.most_epochs)


def test_a_file_without_a_first_row_of_names(work: Path) -> None:
    (work / "bare.csv").write_text("".join(f"the good cat number {i},{'ab'[i % 2]}\n" for i in range(60)))
    header = (
        "the first row of bare.csv (the good cat number 0, a) looks like texts and not like names; "
        "write the columns' names above it"
    )
    assert made("bare.csv").warnings[0] == header
    with pytest.raises(UserError) as caught:
        made("bare.csv", label="stars")
    assert str(caught.value) == (
        f"--label: no column 'stars' in bare.csv; columns: 'the good cat number 0', 'a'; {header}"
    )


def test_texts_and_classes_that_are_mixed_up(work: Path) -> None:
    write(work / "reviews.csv", 60)
    with pytest.raises(UserError) as caught:
        made("reviews.csv", label="text", text=("label",))
    assert str(caught.value) == (
        "60 of the 60 values of 'text' in reviews.csv stand with fewer than 3 different texts; these look like texts, "
        "not like classes; name another column with --label"
    )


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", "", "a{} is empty; it needs rows with a text and a label"),
        ("a.jsonl", "", "a{} is empty; it needs rows with a text and a label"),
        ("a.csv", " \n\n", "a{} is empty; it needs rows with a text and a label"),
        ("a.csv", "text,label\n", "a{} is empty; it needs rows with a text and a label"),
        ("a.json", '{"data": [{"text": "x"}, {"text": "y"}]}',
         "a{} is one object, which holds several rows under 'data'; write one object a row"),
        ("a.json", '{"text": ["x", "y"], "label": ["1", "2"]}',
         "a{} is one object, which holds several rows under 'text'; write one object a row"),
        ("a.json", '{"text": {"0": "x", "1": "y"}}',
         "a{} is one object, which holds several rows under 'text'; write one object a row"),
        ("a.csv", '{"text": "x", "label": "y"}\n', "a{} holds JSON; let its name end in .jsonl"),
        ("a.txt", '[{"text": "x"}]', "a{} holds JSON; let its name end in .jsonl"),
    ],
)  # fmt: skip
def test_files_that_newcomers_have(work: Path, name: str, content: str, told: str) -> None:
    (work / name).write_text(content)
    with pytest.raises(UserError) as caught:
        made(name)
    assert str(caught.value) == f"data.source: {told.format(Path(name).suffix)}"


@pytest.mark.parametrize(
    "written",
    ["review.csv", "reviews.CSV", " reviews.csv", "reviews.csv ", '"reviews.csv"', "'reviews.csv'", "reviws.csv"],
)
def test_a_file_whose_name_is_mistyped(work: Path, written: str) -> None:
    write(work / "reviews.csv", 30)
    with pytest.raises(UserError) as caught:
        made(written)
    assert str(caught.value) == (f"data.source: no file or folder {written!r} in {work}; did you mean 'reviews.csv'?")
    with pytest.raises(UserError) as caught:
        made(str(work / "none" / written))
    assert str(caught.value) == f"data.source: no file or folder {str(work / 'none' / written)!r}"


@pytest.mark.parametrize("label", ["NaN", "null", "N/A", "None", "-"])
def test_a_class_that_may_mean_a_missing_label(work: Path, label: str) -> None:
    draft = made(write(work / "reviews.csv", 60, classes=("a", "b", label)))
    assert (
        f"{label}: learned as a class, though it may mean that a label is missing; data.drop_labels drops it"
    ) in draft.warnings
