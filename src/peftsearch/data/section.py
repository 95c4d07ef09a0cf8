"""The `data:` section of a study file."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from peftsearch.data.base import SPLITS, label_text
from peftsearch.data.columns import columns_of


def _as_label(value: object) -> str:
    """YAML reads `1` as a number and files hold it as text: labels are compared as text everywhere."""
    text = label_text(value)
    if text is None:
        raise ValueError(f"{value!r} is not a label")
    return text


Label = Annotated[str, BeforeValidator(_as_label)]
RowCount = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Splits(_Strict):
    """Shares of the rows for splits that the source lacks. A split that the source has is used as it is.

    Attributes:
        validation: the share of the rows on which trials are compared. The two shares together are below 1.
        test: the share of the rows that only `peftsearch confirm` reads.
        seed: the seed by which the rows are drawn.
    """

    validation: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.2, gt=0, lt=1)
    seed: int = Field(default=42, ge=0)

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation:g} and test {self.test:g} leave no row to train on")
        return self


class Limit(_Strict):
    """The most rows that a split may have. They are drawn so that each class keeps its share.

    Attributes:
        train: rows to train on.
        validation: rows on which trials are compared.
        test: rows that only `peftsearch confirm` reads.
    """

    train: RowCount | None = None
    validation: RowCount | None = None
    test: RowCount | None = None


class Files(_Strict):
    """The names of columns and classes in files that `--data` puts in the place of `source`, where they differ.

    Attributes:
        text: as `data.text`.
        label: as `data.label`.
        columns: as `data.columns`.
        encoding: as `data.encoding`.
        map_labels: as `data.map_labels`.
    """

    text: str | list[str] | None = None
    label: str | None = None
    columns: list[str] | None = None
    encoding: str | None = None
    map_labels: dict[Label, Label] | None = None


class DataSection(_Strict):
    """What to train on. The shaping steps run in the order in which they stand here.

    Attributes:
        source: `package:IMPORT/PATH`, `hub:NAME[/CONFIG]`, a file, a folder or a URL; or such a file for each of the
            splits `train`, `validation` and `test`.
        text: the column with the text, or several columns composed as in `{title} {body}`; two of these for pairs.
        label: the column with the class.
        columns: names for the columns of delimited files that have no header line.
        encoding: the encoding of text files, such as `cp1251`; by default it is found, and told if it was a guess.
        revision: the data set's commit on the hub.
        files: how files in the place of `source` name their columns and classes.
        drop_labels: classes to leave out.
        min_rows: classes with fewer rows than this are left out.
        map_labels: new names for classes; several may become one.
        strip: take white space off both ends of every text.
        sample: share of the rows to keep, drawn so that each class keeps its share.
        group: a column, such as the author; rows with the same value in it stay together in one split.
        splits: the shares of the splits that the source lacks.
        allow_overlap: train even though more than 1 % of a split's texts stand in another split too.
        limit: the most rows that each split may have.
        max_length: tokens per text (or pair) after truncation.
    """

    source: str | dict[str, str]
    text: str | list[str] = "text"
    label: str = "label"
    columns: list[str] | None = None
    encoding: str | None = None
    revision: str | None = None
    files: Files | None = Field(default=None, exclude=True)  # it does not change the data, nor the cache's key
    drop_labels: list[Label] = []
    min_rows: RowCount = 1
    map_labels: dict[Label, Label] = {}
    strip: bool = False
    sample: float = Field(default=1.0, gt=0, le=1)
    group: str | None = None
    splits: Splits = Splits()
    allow_overlap: bool = False
    limit: Limit = Limit()
    max_length: int = Field(default=128, ge=4)

    @field_validator("source")
    @classmethod
    def _names_splits(cls, source: str | dict[str, str]) -> str | dict[str, str]:
        if isinstance(source, dict):
            unknown = sorted(set(source) - set(SPLITS))
            if unknown:
                raise ValueError(f"{unknown[0]!r} is not a split; valid: {', '.join(SPLITS)}")
            if "train" not in source:
                raise ValueError("names no file for train")
        return source

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        try:
            "".encode(encoding or "utf-8")
        except (LookupError, ValueError):  # ValueError: a NUL in the name
            raise ValueError(f"Python has no encoding {encoding!r}; write one such as utf-8, cp1252, cp1251") from None
        return encoding

    @field_validator("columns")
    @classmethod
    def _names_each_once(cls, columns: list[str] | None) -> list[str] | None:
        twice = next((name for name in columns or () if (columns or ()).count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"names {twice!r} twice")
        return columns

    @model_serializer(mode="wrap")
    def _without_new_keys(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the keys that earlier versions did not know, so that their signatures of studies stay the same."""
        data: dict[str, Any] = serialize(self)
        return {key: value for key, value in data.items() if key != "encoding" or value is not None}

    @field_validator("text")
    @classmethod
    def _one_or_two(cls, text: str | list[str]) -> str | list[str]:
        if isinstance(text, list) and len(text) != 2:
            raise ValueError(f"takes one column, or two for pairs, but got {len(text)}")
        return text

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The one text, or the two of pairs, as the study writes them."""
        return (self.text,) if isinstance(self.text, str) else tuple(self.text)

    @property
    def wanted_columns(self) -> tuple[str, ...]:
        """Every column that is read."""
        texts = (column for written in self.text_columns for column in columns_of(written))
        return (*texts, self.label, *([self.group] if self.group else []))
