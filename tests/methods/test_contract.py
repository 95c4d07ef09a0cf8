"""What every method must do with every architecture and every head."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch

from peftsearch.backbones.anatomy import anatomy_of_config
from peftsearch.backbones.families import FAMILIES
from peftsearch.backbones.loading import load_encoder, load_tokenizer
from peftsearch.core.errors import UserError
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS as METHODS
from tests.helpers.tiny import ARCHITECTURES, WIDTH
from tests.helpers.tuning import TEXTS, settings_of, take_steps

UNSUPPORTED = {(m, "modernbert") for m in ("prefix", "bitfit", "unipelt", "mam")}
PAIRS = [(m, a) for m in METHODS for a in ARCHITECTURES if (m, a) not in UNSUPPORTED]
CASES = [(m, a, h) for m, a in PAIRS for h in ("linear", "mlp", "native")]
WITH_ADAPTER = [(m, a) for m, a in PAIRS if METHODS[m].library != "torch"]
ON_MAMBA = ("none", "full", "probe", "frozen", "unfreezing", "bitfit", "layernorm", "prompt", "p_tuning")
NOT_ON = {
    "mpnet": {"prefix", "unipelt", "mam"},
    "albert": {"unfreezing"},
    "mamba": {m for m in METHODS if m not in ON_MAMBA},
}
"""ALBERT's layers share one set of weights, which does not make three stages."""
MORE = sorted(FAMILIES.keys() - set(ARCHITECTURES))

LSTM = 4 * (2 * WIDTH * WIDTH + 2 * WIDTH)
HEAD_SIZES = {
    "lstm": LSTM + WIDTH * 3 + 3,
    "linear": WIDTH * 3 + 3,
    "mlp": 2 * WIDTH + WIDTH * 16 + 16 + 2 * 16 + 16 * 3 + 3,
}


def _build(resolved, method, **changes):
    torch.manual_seed(0)
    return build_classifier(resolved, METHODS[method], settings_of(method, **changes), 3)


def _batch(resolved):
    return load_tokenizer(resolved)(*TEXTS, padding=True, return_tensors="pt")


@pytest.mark.parametrize(("method", "architecture", "head"), CASES)
def test_what_is_trainable_moves_and_nothing_else_does(tiny, method, architecture, head):
    resolved = tiny(architecture)
    classifier = _build(resolved, method, head=head, head_dropout=0.0)
    before = {name: tensor.detach().clone() for name, tensor in _tensors(classifier).items()}
    trainable = {name for name, p in classifier.named_parameters() if p.requires_grad}

    take_steps(classifier, _batch(resolved))

    after = _tensors(classifier)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == trainable
    assert any(name.startswith("head.") for name in trainable)


@pytest.mark.parametrize(("method", "architecture"), PAIRS)
def test_the_loss_falls(tiny, method, architecture):
    resolved = tiny(architecture)
    rate = 0.003 if method in ("full", "frozen", "unfreezing", "mam") else 0.03
    losses = take_steps(_build(resolved, method, head_dropout=0.0), _batch(resolved), steps=15, learning_rate=rate)
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(("method", "architecture"), PAIRS)
def test_the_pretrained_tensors_are_all_there_and_no_frozen_one_is_new(tiny, method, architecture):
    resolved = tiny(architecture)
    pretrained = sorted(_sums(load_encoder(resolved).parameters()))
    encoder = _build(resolved, method).encoder
    if METHODS[method].library == "torch":
        assert sorted(_sums(encoder.parameters())) == pretrained
    else:
        # AdaLoRA keeps each matrix's rank as a frozen parameter of its own.
        frozen = [p for name, p in encoder.named_parameters() if not p.requires_grad and ".ranknum." not in name]
        assert sorted(_sums(frozen)) == pretrained


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("head", HEAD_SIZES)
def test_any_method_has_the_same_head(tiny, method, head):
    classifier = _build(tiny("bert"), method, head=head)
    assert sum(p.numel() for p in classifier.head.parameters() if p.requires_grad) == HEAD_SIZES[head]


@pytest.mark.parametrize("method", [m for m in METHODS if METHODS[m].library == "torch"])
def test_a_method_without_an_adapter_says_so(tiny, tmp_path, method):
    with pytest.raises(NotImplementedError, match="has no adapter of its own to save"):
        METHODS[method].save(_build(tiny("bert"), method).encoder, tmp_path)


@pytest.mark.parametrize(("method", "architecture"), PAIRS)
def test_same_seed_same_tensors_and_another_seed_another_head(tiny, method, architecture):
    resolved = tiny(architecture)
    settings = settings_of(method, head="native")
    built = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        built.append(build_classifier(resolved, METHODS[method], settings, 3).state_dict())
    assert all(torch.equal(built[0][name], built[1][name]) for name in built[0])
    assert any(not torch.equal(built[0][name], built[2][name]) for name in built[0] if name.startswith("head."))


def test_training_one_classifier_leaves_the_next_as_pretrained(tiny):
    resolved = tiny("bert")
    before = {name: tensor.clone() for name, tensor in _build(resolved, "full").state_dict().items()}
    take_steps(_build(resolved, "full"), _batch(resolved))
    after = _build(resolved, "full").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("architecture", MORE)
def test_the_other_families_train_or_say_why_not(tiny, architecture):
    resolved, trained = tiny(architecture), set()
    for method in METHODS:
        if METHODS[method].unsupported(_anatomy(resolved), settings_of(method)) is None:
            losses = take_steps(_build(resolved, method, head_dropout=0.0), _batch(resolved), steps=10)
            trained.add(method)
            assert losses[-1] < losses[0]
    assert trained == set(METHODS) - NOT_ON.get(architecture, set())


@pytest.mark.parametrize(("method", "architecture"), PAIRS)
def test_the_libraries_are_silent(tiny, caplog, method, architecture):
    resolved = tiny(architecture)
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier = _build(resolved, method, head="native")
        classifier(**_batch(resolved))
    assert caplog.text == ""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("head", ["linear", "native"])
def test_padding_changes_nothing(tiny, method, head):
    resolved = tiny("bert")
    classifier = _build(resolved, method, head=head).eval()
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.requires_grad:  # a gate or an adapter that starts at nothing would hide a difference
                parameter.add_(0.1 * torch.randn_like(parameter))
    tokenizer = load_tokenizer(resolved)
    short = tokenizer(["good cat"], return_tensors="pt")
    padded = tokenizer(["good cat"], padding="max_length", max_length=20, return_tensors="pt")
    with torch.no_grad():
        assert torch.allclose(classifier(**short).logits, classifier(**padded).logits, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "architecture", "changes", "message"),
    [
        ("prefix", "modernbert", {}, "neither PEFT nor AdapterHub has prefix tuning for modernbert"),
        ("frozen", "bert", {"frozen_layers": 3}, "frozen_layers is 3, but it has 2 layers"),
        (
            "frozen",
            "bert",
            {"frozen_layers": 1.5},
            "frozen_layers must be a whole number, or a share from 0 to 1, but got 1.5",
        ),
        ("lora", "mamba", {}, "mamba has no attention; choose targets: all"),
        ("ia3", "mamba", {}, "mamba has no attention"),
        ("seq_bn", "mamba", {}, "AdapterHub has no seq_bn for mamba"),
        ("unfreezing", "mamba", {"order": "query_key_value"}, "mamba has no attention; choose another order"),
        (
            "prompt",
            "albert",
            {"head": "native"},
            "albert's own head would read a virtual token; choose head: linear, mlp or lstm",
        ),
        ("bitfit", "modernbert", {}, "modernbert has no biases"),
        ("compacter", "bert", {"reduction_factor": 16}, "its width 32 and the bottleneck's 2 must be multiples of 4"),
        ("seq_bn", "bert", {"reduction_factor": 64}, "reduction_factor is 64, but its width is 32"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(tiny, method, architecture, changes, message):
    resolved = tiny(architecture)
    with pytest.raises(UserError) as error:
        METHODS[method].check_supported(resolved, settings_of(method, **changes))
    assert str(error.value) == f"method {method} cannot tune {resolved.name!r}: {message}"


def test_texts_longer_than_the_positions_are_refused(tiny):
    resolved = tiny("bert")
    METHODS["prefix"].check_supported(resolved, settings_of("prefix"), max_length=127)
    with pytest.raises(UserError) as error:
        METHODS["prefix"].check_supported(resolved, settings_of("prefix"), max_length=128)
    assert str(error.value) == (
        f"max_length is 128, but {resolved.name!r} has 130 positions, of which prefix takes 3; write at most 127"
    )


def test_the_longest_text_that_is_allowed_fits(tiny):
    for architecture, longest in (("bert", 127), ("roberta", 128)):
        resolved = tiny(architecture)
        settings = settings_of("prefix")
        classifier = build_classifier(resolved, METHODS["prefix"], settings, 3, max_length=longest)
        classifier(input_ids=torch.full((1, longest), 9))
        with pytest.raises(UserError, match="write at most"):
            build_classifier(resolved, METHODS["prefix"], settings, 3, max_length=longest + 1)


def _sums(parameters):
    return [(tuple(p.shape), p.sum().item()) for p in parameters]


def _tensors(classifier):
    return {**dict(classifier.named_parameters()), **dict(classifier.named_buffers())}


def _anatomy(resolved):
    return anatomy_of_config(resolved.config())


@pytest.mark.parametrize("method", ["seq_bn", "double_seq_bn", "par_bn", "compacter", "loreft"])
def test_adapters_on_mpnet_start_where_it_is(tiny, method):
    """AdapterHub does not know this architecture by itself: we tell it where the layers are."""
    resolved, settings = tiny("mpnet"), settings_of(method)
    plain, classifier = _build(resolved, "probe", head="linear", pooling=settings["pooling"]), _build(resolved, method)
    plain.head.load_state_dict(classifier.head.state_dict())
    batch = _batch(resolved)
    with torch.no_grad():
        assert torch.allclose(plain.eval()(**batch).logits, classifier.eval()(**batch).logits, atol=0.1)


@pytest.mark.parametrize("method", ["seq_bn", "double_seq_bn", "par_bn", "compacter", "loreft", "unipelt", "mam"])
def test_adapters_leave_out_the_lower_layers(tiny, method):
    classifier = _build(tiny("bert"), method, top_layers=1)
    trained = [name for name, p in classifier.encoder.named_parameters() if p.requires_grad]
    # The prefixes of all layers are one module, which stands in each.
    names = [name for name in trained if "encoder.layer." in name and ".pool." not in name]
    assert {name.split("encoder.layer.")[1][0] for name in names} == {"1"}


@pytest.mark.parametrize("method", ["lora", "adalora", "vera", "loha", "lokr"])
def test_mambas_linear_modules_can_be_tuned(tiny, method):
    resolved = tiny("mamba")
    classifier = _build(resolved, method, targets="all", pooling="last")
    losses = take_steps(classifier, _batch(resolved), steps=10)
    assert losses[-1] < losses[0]


def test_mamba_has_no_head_of_its_own(tiny):
    with pytest.raises(UserError, match=r"\(mamba\) has no head of its own; choose head: linear, mlp or lstm$"):
        METHODS["full"].check_supported(tiny("mamba"), settings_of("full", head="native"))
