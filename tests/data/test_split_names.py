from __future__ import annotations

import itertools

import pytest

from peftsearch.data.split_names import assign_splits, split_name

TRAIN = "train Train TRAIN training train_data TrainData trainset Train-Set train2017 train_1 trn data_train train.raw"
VALIDATION = "validation valid val dev Dev DEV devset development eval evaluation eval_data validation_matched ValSet"
TEST = "test Test TEST testing test_data testset Test-Set tst test_matched test.clean all_test"
NAMES = [
    (name, split)
    for split, names in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST))
    for name in names.split()
]
COMPOUND = [
    ("20news-bydate-train", "train"), ("mrpc_test.tsv.gz", "test"), ("my.corpus.dev", "validation"),
    ("eng_validation_full", "validation"), ("fold3-train", "train"), ("unit-testing", "test"),
]  # fmt: skip
OTHERS = (
    "pos",
    "neg",
    "trains",
    "contest",
    "latest",
    "deviant",
    "evaluations",
    "valued",
    "trainers",
    "attestation",
    "",
)


@pytest.mark.parametrize(("name", "split"), NAMES)
def test_names_that_are_splits(name: str, split: str) -> None:
    assert split_name(name).plain
    assert split_name(name).split == split


@pytest.mark.parametrize(("name", "split"), COMPOUND)
def test_names_with_a_split_in_them(name: str, split: str) -> None:
    assert split_name(name).split == split
    assert not split_name(name).plain


@pytest.mark.parametrize("name", [*OTHERS, "train_test", "dev-and-test"])
def test_names_that_are_no_split(name: str) -> None:
    assert split_name(name).split is None


@pytest.mark.parametrize(
    ("train", "validation", "test"), itertools.product(["train", "Training"], ["dev", "Val"], ["test", "TEST_SET"])
)
def test_splits_with_other_names_are_taken_and_told(train: str, validation: str, test: str) -> None:
    found = assign_splits([test, "extra", validation, train])
    assert found.chosen == {"train": train, "validation": validation, "test": test}
    told = [f"the split {own} is taken as {split}" for split, own in found.chosen.items() if own != split]
    assert found.notes == (*told, "left out: the split extra")


def test_an_exact_name_goes_first_and_rivals_are_not_chosen_between() -> None:
    found = assign_splits(["train", "validation", "dev", "test_matched", "test_mismatched"])
    assert found.chosen == {"train": "train", "validation": "validation"}
    assert found.rivals == {"test": ["test_matched", "test_mismatched"]}
    assert found.unused == ["dev"]
