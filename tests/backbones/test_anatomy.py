import pytest
import torch
from torch import nn

from peftsearch.backbones.anatomy import anatomy_of, anatomy_of_config, modules
from peftsearch.backbones.families import FAMILIES
from peftsearch.backbones.loading import load_encoder, resolve
from peftsearch.core.errors import UserError
from tests.helpers.tiny import WIDTH, tiny_model


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def encoder(request, tmp_path_factory):
    return load_encoder(resolve(str(tiny_model(tmp_path_factory.mktemp("m"), request.param, layers=3))))


def test_every_part_is_where_the_table_says(encoder):
    parts = anatomy_of(encoder)
    shared = parts.model_type == "albert"
    assert parts.hidden_size == WIDTH
    assert len(parts.layers) == (1 if shared else 3)
    assert parts.embeddings[0] in dict(encoder.named_modules())
    for layer in parts.layers:
        assert all(type(encoder.get_submodule(name)).__name__.endswith(("Norm", "Identity")) for name in layer.norms)
        if not parts.attention:
            assert parts.model_type == "mamba"
            continue
        for projection in (layer.query, layer.key, layer.value):
            rows = encoder.get_submodule(projection.module).weight.shape[0]
            first, last = projection.rows or (0, rows)
            assert last - first == WIDTH
            assert last <= rows
        assert encoder.get_submodule(layer.attention_output).weight.shape == (WIDTH, WIDTH)


def test_all_linear_is_every_linear_module_of_the_layers(encoder):
    parts = anatomy_of(encoder)
    inside = {
        f"{layer.name}.{name}"
        for layer in parts.layers
        for name, module in encoder.get_submodule(layer.name).named_modules()
        if isinstance(module, nn.Linear)
    }
    # Mamba's fast kernels read the weights of these two, not their outputs.
    passed_over = {name for name in inside if parts.model_type == "mamba" and name.endswith(("dt_proj", "out_proj"))}
    assert set(parts.all_linear) == inside - passed_over
    assert len(parts.all_linear) == len(set(parts.all_linear))
    assert set(parts.query_value) <= set(parts.attention) < inside


def test_embeddings_layers_and_tail_are_the_whole_encoder(encoder):
    parts = anatomy_of(encoder)
    names = (*parts.embeddings, *(layer.name for layer in parts.layers), *parts.tail)
    found = {id(p) for module in modules(encoder, names) for p in module.parameters()}
    assert [name for name, p in encoder.named_parameters() if id(p) not in found] == []


def test_the_query_is_really_the_query(tmp_path):
    """Zeroing the rows of the query makes attention uniform; zeroing those of the value makes it silent."""
    encoder = load_encoder(resolve(str(tiny_model(tmp_path, "modernbert")))).eval()
    query, value = (anatomy_of(encoder).layers[0].__getattribute__(name) for name in ("query", "value"))
    assert (query.rows, value.rows) == ((0, WIDTH), (2 * WIDTH, 3 * WIDTH))
    seen = []
    encoder.get_submodule(anatomy_of(encoder).layers[0].attention_output).register_forward_hook(
        lambda module, args, output: seen.append(args[0])
    )
    with torch.no_grad():
        encoder.get_submodule(query.module).weight[slice(*query.rows)] = 0
        encoder(input_ids=torch.tensor([[2, 8, 9, 3]]))
        encoder.get_submodule(value.module).weight[slice(*value.rows)] = 0
        encoder(input_ids=torch.tensor([[2, 8, 9, 3]]))
    uniform, silent = seen
    assert torch.allclose(uniform[:, :1].expand_as(uniform), uniform, atol=1e-6)
    assert uniform.any()
    assert not silent.any()


def test_positions_leave_out_those_before_the_first_token():
    base = {"hidden_size": 8, "num_hidden_layers": 1, "max_position_embeddings": 514, "pad_token_id": 1}
    assert anatomy_of_config({"model_type": "roberta", **base}).positions == 512
    assert anatomy_of_config({"model_type": "bert", **base}).positions == 514
    assert anatomy_of_config({"model_type": "bert", **base, "max_position_embeddings": None}).positions is None


def test_an_unknown_architecture_is_one_line():
    with pytest.raises(UserError) as error:
        anatomy_of_config({"model_type": "llama"})
    assert str(error.value) == (
        "architecture 'llama' is not known; choose a backbone of one of these: "
        "albert, bert, deberta-v2, distilbert, electra, mamba, modernbert, mpnet, roberta, xlm-roberta"
    )


def test_a_config_without_sizes_is_one_line():
    with pytest.raises(UserError, match=r"^config.json of a bert model lacks 'hidden_size'$"):
        anatomy_of_config({"model_type": "bert"})
