import pytest
from pydantic import ValidationError

from peftsearch.data.section import DataSection


def message(**fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        DataSection(**{"source": "a.csv", **fields})  # type: ignore[arg-type]
    return str(caught.value.errors()[0]["msg"])


def test_defaults_of_a_bare_source() -> None:
    section = DataSection(source="a.csv")
    assert (section.text, section.label, section.max_length) == ("text", "label", 128)
    assert (section.splits.validation, section.splits.test, section.splits.seed) == (0.1, 0.2, 42)
    assert section.wanted_columns == ("text", "label")


def test_a_pair_and_a_group_are_wanted_too() -> None:
    section = DataSection(source="a.csv", text=["a", "b"], label="y", group="author")
    assert section.wanted_columns == ("a", "b", "y", "author")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"source": {"train": "a", "dev": "b"}}, "'dev' is not a split; valid: train, validation, test"),
        ({"source": {"test": "b"}}, "names no file for train"),
        ({"text": ["a", "b", "c"]}, "takes one column, or two for pairs, but got 3"),
        ({"splits": {"validation": 0.5, "test": 0.5}}, "validation 0.5 and test 0.5 leave no row to train on"),
        ({"drop_labels": [None]}, "None is not a label"),
        ({"lable": "x"}, "Extra inputs are not permitted"),
        ({"columns": ["label", "text", "label"]}, "names 'label' twice"),
        ({"encoding": "utf-88"}, "Python has no encoding 'utf-88'; write one such as utf-8, cp1252, cp1251"),
        ({"encoding": "rot13"}, "Python has no encoding 'rot13'; write one such as utf-8, cp1252, cp1251"),
        ({"encoding": "a\0b"}, "Python has no encoding 'a\\x00b'; write one such as utf-8, cp1252, cp1251"),
        ({"limit": {"train": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_is_refused(fields: dict[str, object], expected: str) -> None:
    assert expected in message(**fields)


def test_labels_are_text_however_yaml_reads_them() -> None:
    section = DataSection(source="a", drop_labels=[3, "Neutral"], map_labels={"Good": 1, 0: "Bad"})  # type: ignore[list-item, dict-item]
    assert section.drop_labels == ["3", "Neutral"]
    assert section.map_labels == {"Good": "1", "0": "Bad"}


def test_a_key_that_earlier_versions_lacked_is_only_written_when_it_is_used() -> None:
    """A study's signature, which is stored, holds every key."""
    assert "encoding" not in DataSection(source="a").model_dump()
    assert DataSection(source="a", encoding="cp1251").model_dump()["encoding"] == "cp1251"
