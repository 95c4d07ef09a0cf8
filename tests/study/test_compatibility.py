"""What is found before any trial: a tokenizer that is not there or does not fit, without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from peftsearch.core.errors import UserError
from peftsearch.study.compatibility import check_feasible
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import load_study
from tests.helpers.tiny import tiny_model, tiny_tokenizer

STUDY = "name: toy\ndata: {source: rows.csv}\nbackbones: [{name: model, tokenizer: %s}]\nmethods: {full: {}}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_model(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "words")
    tiny_tokenizer(vocabulary=[f"w{i}" for i in range(2000)]).save_pretrained(tmp_path / "many")
    return tmp_path


def _load(folder, tokenizer, overrides=None):
    (folder / "toy.yaml").write_text(STUDY % tokenizer)
    return load_study("toy.yaml", overrides)


def test_a_tokenizer_that_fits(folder):
    check_feasible(_load(folder, "words"))


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ("./none", "no tokenizer folder './none'; write a folder with tokenizer.json, or a hub name"),
        ("many", "tokenizer 'many' has 2,005 entries, but 'model' has embeddings for 59; "
                 "choose the tokenizer that it was trained with"),
    ],
)  # fmt: skip
def test_one_that_does_not(folder, tokenizer, message):
    with pytest.raises(UserError) as error:
        check_feasible(_load(folder, tokenizer))
    assert str(error.value) == message


def test_another_backbone_comes_with_a_tokenizer_of_its_own(folder):
    spec = _load(folder, "./none", Overrides(backbones=("model",)))
    assert spec.backbones[0].tokenizer is None
    check_feasible(spec)


def test_no_torch_is_loaded_for_it(folder):
    _load(folder, "words")
    code = (
        "import sys; from peftsearch.study.compatibility import check_feasible; "
        "from peftsearch.study.spec import load_study; check_feasible(load_study('toy.yaml')); "
        "heavy = {'torch', 'transformers'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
