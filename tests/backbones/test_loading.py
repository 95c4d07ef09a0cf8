import json
import logging
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from peftsearch.backbones import loading
from peftsearch.backbones.loading import ResolvedModel, load_encoder, load_native, load_tokenizer, resolve
from peftsearch.core.errors import UserError
from peftsearch.training.batches import text_batch
from tests.helpers.tiny import ARCHITECTURES, change_tokenizer, tiny_model, tiny_tokenizer

IDS = torch.tensor([[2, 8, 9, 3]])


@pytest.fixture(autouse=True)
def forget():
    loading._weights.cache_clear()


def _change(folder, change):
    path = Path(folder) / "model.safetensors"
    save_file(dict(change(load_file(path))), path, metadata={"format": "pt"})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_encoder_computes_what_transformers_does(tmp_path, architecture):
    tiny_model(tmp_path, architecture)
    reference = AutoModel.from_pretrained(tmp_path).eval()
    encoder = load_encoder(resolve(str(tmp_path)))
    assert encoder.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in encoder.parameters())
    with torch.no_grad():
        outputs = encoder.eval()(input_ids=IDS).last_hidden_state
        assert torch.equal(outputs, reference(input_ids=IDS).last_hidden_state)
    assert not any("pooler" in name for name, _ in encoder.named_parameters())


def test_a_real_checkpoint_computes_what_transformers_does():
    resolved = resolve("sentence-transformers/all-MiniLM-L6-v2")
    reference, encoder = AutoModel.from_pretrained(resolved.path).eval(), load_encoder(resolved).eval()
    batch = load_tokenizer(resolved)(["a cat sat", "on the mat today"], padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(encoder(**batch).last_hidden_state, reference(**batch).last_hidden_state)


def test_files_are_read_once_and_copies_share_nothing(tmp_path, monkeypatch):
    resolved = resolve(str(tiny_model(tmp_path)))
    first = load_encoder(resolved)
    monkeypatch.setattr("safetensors.torch.load_file", lambda *_: pytest.fail("read again"))
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
    second = load_encoder(resolved)
    assert second.embeddings.word_embeddings.weight.any()


def test_at_most_two_backbones_are_kept(tmp_path):
    for seed in range(3):
        load_encoder(resolve(str(tiny_model(tmp_path / str(seed), seed=seed))))
    assert loading._weights.cache_info().currsize == 2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nothing_is_said(tmp_path, caplog, capfd, architecture):
    resolved = resolve(str(tiny_model(tmp_path, architecture)))
    capfd.readouterr()
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("error")
        load_encoder(resolved)
        load_native(resolved, 3)
        load_tokenizer(resolved)
    assert caplog.text == ""
    assert "".join(capfd.readouterr()) == ""


def test_a_masked_language_model_serves_as_encoder(tmp_path):
    """As published checkpoints are: the encoder under a prefix, norms by their old names, a head that is not wanted."""
    config = AutoConfig.from_pretrained(tiny_model(tmp_path))
    model = AutoModelForMaskedLM.from_config(config)
    model.save_pretrained(tmp_path)
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}

    def rename(tensors):
        for name, tensor in tensors.items():
            for new, legacy in old.items():
                name = name.replace(new, legacy)
            yield name, tensor

    _change(tmp_path, rename)
    encoder = load_encoder(resolve(str(tmp_path)))
    for name, tensor in model.bert.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], tensor)


def test_half_precision_weights_become_full(tmp_path):
    AutoModel.from_pretrained(tiny_model(tmp_path), dtype=torch.float16).save_pretrained(tmp_path)
    assert {p.dtype for p in load_encoder(resolve(str(tmp_path))).parameters()} == {torch.float32}


def test_weights_in_shards(tmp_path):
    whole = load_encoder(resolve(str(tiny_model(tmp_path / "whole"))))
    AutoModel.from_pretrained(tmp_path / "whole").save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert not (tmp_path / "shards" / "model.safetensors").exists()
    shards = load_encoder(resolve(str(tmp_path / "shards")))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), shards.parameters(), strict=True))


def test_missing_encoder_weights_are_an_error(tmp_path):
    name = "encoder.layer.1.output.dense.weight"
    tiny_model(tmp_path)
    _change(tmp_path, lambda tensors: {k: v for k, v in tensors.items() if k != name})
    with pytest.raises(UserError) as error:
        load_encoder(resolve(str(tmp_path)))
    assert str(error.value) == f"model {str(tmp_path)!r}: its files lack the weights {name}; save it again"


def test_weights_of_another_shape_are_an_error(tmp_path):
    name = "embeddings.word_embeddings.weight"
    tiny_model(tmp_path)
    _change(tmp_path, lambda tensors: {**tensors, name: tensors[name][:-1].clone()})
    with pytest.raises(UserError, match=f"lack the weights {name}"):
        load_encoder(resolve(str(tmp_path)))


def test_a_broken_file_is_an_error(tmp_path):
    tiny_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(UserError, match=r"cannot read .*model\.safetensors"):
        load_encoder(resolve(str(tmp_path)))


def test_a_native_head_needs_the_pooler_it_reads(tmp_path):
    tiny_model(tmp_path)
    _change(tmp_path, lambda tensors: {k: v for k, v in tensors.items() if "pooler" not in k})
    load_encoder(resolve(str(tmp_path)))
    with pytest.raises(UserError) as error:
        load_native(resolve(str(tmp_path)), 3)
    assert str(error.value) == (
        f"model {str(tmp_path)!r} has no pretrained pooler for head: native; choose linear, mlp or lstm"
    )


def test_a_new_native_head_follows_the_seed_and_an_old_one_of_another_size_is_replaced(tmp_path):
    config = AutoConfig.from_pretrained(tiny_model(tmp_path, "distilbert"), num_labels=5)
    old = AutoModelForSequenceClassification.from_config(config)
    old.save_pretrained(tmp_path)
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = load_native(resolve(str(tmp_path)), 3)
        assert torch.equal(model.pre_classifier.weight, old.pre_classifier.weight)
        heads.append(model.classifier.weight)
    assert heads[0].shape[0] == 3
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_a_tokenizer_always_pads(tmp_path):
    tokenizer = tiny_tokenizer("roberta")
    tokenizer.pad_token = None
    tiny_model(tmp_path, "roberta")
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(resolve(str(tmp_path))).pad_token == "</s>"


@pytest.mark.parametrize(("kind", "pad"), [("left", "[PAD]"), ("no pad", "[SEP]"), ("bare", "[UNK]")])
def test_a_saved_tokenizer_reads_and_pads_as_the_one_that_trained(tmp_path, kind, pad):
    change_tokenizer(tiny_model(tmp_path / "model"), kind)
    trained = load_tokenizer(resolve(str(tmp_path / "model")))
    trained.save_pretrained(tmp_path / "saved")
    saved = AutoTokenizer.from_pretrained(tmp_path / "saved")
    texts = ["good cat", "[UNK] [SEP] goodness [PAD] unk", "", "the very bad dog zzz"]
    assert saved(texts)["input_ids"] == trained(texts)["input_ids"]
    assert (saved.pad_token, saved.padding_side, trained.padding_side) == (pad, "right", "right")
    assert len(saved) == len(trained) == 59


def test_a_tokenizer_without_any_special_token_pads_with_none_of_its_words(tmp_path):
    """A word that became the padding token would be special after saving, and no longer part of other words."""
    words = Tokenizer(models.WordLevel({"good": 0, "cat": 1}, unk_token="good"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tiny_model(tmp_path)
    PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(tmp_path)
    (tmp_path / "special_tokens_map.json").unlink()
    tokenizer = load_tokenizer(resolve(str(tmp_path)))
    assert tokenizer.pad_token is None
    assert text_batch(tokenizer, [("good cat",), ("cat",)], 8)["attention_mask"].tolist() == [[1, 1], [1, 0]]


def test_a_missing_tokenizer_is_one_line(tmp_path):
    (tiny_model(tmp_path) / "tokenizer.json").unlink()
    with pytest.raises(UserError) as error:
        load_tokenizer(resolve(str(tmp_path)))
    assert str(error.value) == (
        f"model {str(tmp_path)!r}: {tmp_path} holds no tokenizer.json; save the tokenizer there too"
    )


def test_a_broken_tokenizer_is_one_line(tmp_path):
    (tiny_model(tmp_path) / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="has no tokenizer that can be read: ") as error:
        load_tokenizer(resolve(str(tmp_path)))
    assert "\n" not in str(error.value)


def _with_code(folder, source="modeling.Model"):
    config = json.loads((folder / "config.json").read_text())
    code = {"AutoConfig": source.replace("modeling", "configuration"), "AutoModel": source}
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": code}))


@pytest.mark.parametrize("revision", [None, "main", "abc123"])
def test_remote_code_needs_a_pinned_commit(tmp_path, revision):
    resolved = ResolvedModel("some/model", str(tiny_model(tmp_path)), "hub", revision)
    for load in (load_encoder, load_tokenizer):
        with pytest.raises(UserError) as error:
            load(resolved, trust_remote_code=True)
        assert str(error.value) == (
            "trust_remote_code runs the code of 'some/model': pin it with revision: and the full commit hash"
        )


def test_code_of_another_repository_is_not_run(tmp_path):
    resolved = ResolvedModel("some/model", str(tiny_model(tmp_path)), "hub", "a" * 40)
    _with_code(tmp_path, "other/repo--modeling.Model")
    with pytest.raises(UserError, match="lies in another repository"):
        load_encoder(resolved, trust_remote_code=True)


def test_code_beside_the_weights_is_not_run_unless_trusted(tmp_path):
    tiny_model(tmp_path)
    _with_code(tmp_path)
    (tmp_path / "modeling.py").write_text("raise SystemExit('ran')")
    (tmp_path / "configuration.py").write_text("raise SystemExit('ran')")
    load_encoder(resolve(str(tmp_path)))


def test_a_model_of_no_known_kind_is_one_line(tmp_path):
    tiny_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "no-such-thing"}')
    with pytest.raises(UserError, match="no-such-thing") as error:
        load_encoder(resolve(str(tmp_path)))
    assert "\n" not in str(error.value)
