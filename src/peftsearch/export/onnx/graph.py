"""A classifier as an ONNX graph, which runs without torch.

torch's exporter over `torch.export` writes it: it follows our heads and methods, and logits of tiny models differ by
less than 1e-6. The older one, which traces, wrote graphs whose logits were off by 0.4 to 1.1 (torch 2.13), and optimum
exports the classes of transformers, which have none of our heads.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.errors import UserError, one_line
from peftsearch.methods.table import ENCODER_METHODS

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

    from peftsearch.backbones.classifier import Classifier
    from peftsearch.core.config import TrialConfig

OPSET = 18
"""The version of ONNX's operators, which onnxruntime 1.14 and later know. It is the exporter's own: no conversion."""

LARGEST_IN_ONE_FILE = 1_900_000_000
"""Bytes of weights beyond which they lie beside the graph, since protobuf holds at most 2 GiB."""

EXAMPLES = ("a text", "another text, which is a little longer")
"""What the graph is made with; the sizes of its inputs stay open."""

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def check_installed() -> None:
    """Refuse to start where a package is missing.

    Raises:
        UserError: its name, and how to install it.
    """
    from importlib.util import find_spec

    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(f"--onnx needs the package {missing[0]}; install it with: pip install 'peftsearch[onnx]'")


def write_graph(
    classifier: Classifier, config: TrialConfig, tokenizer: PreTrainedTokenizerBase, pair: bool, file: Path
) -> None:
    """Write a classifier to `file`, with the inputs of its tokenizer, (rows, tokens), and the output `logits`.

    Args:
        classifier: the trained classifier, which cannot be used afterwards: what its method adds is merged, if it can.
        config: the configuration that it was trained with.
        tokenizer: reads its texts.
        pair: whether it labels pairs of texts.

    Raises:
        UserError: the exporter has no form for a part of it, or makes its sizes fixed.
    """
    import torch

    from peftsearch.training.batches import text_batch

    served = _served(classifier, config)
    texts = [(text, text) if pair else (text,) for text in EXAMPLES]
    batch = text_batch(tokenizer, texts, config.max_length)
    if not served.takes_token_types:
        batch.pop("token_type_ids", None)
    open_sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with torch.inference_mode(), without_hints():
            program = torch.onnx.export(
                _logits_of(served, list(batch)),
                tuple(batch.values()),
                dynamo=True,
                input_names=list(batch),
                output_names=["logits"],
                dynamic_shapes=(tuple(open_sizes for _ in batch),),
                opset_version=OPSET,
                custom_translation_table=_translations(),
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, ValueError) as error:
        raise UserError(
            f"--onnx: {config.method} on {config.backbone} has no form in ONNX ({_reason(error)}); leave --onnx out"
        ) from error
    assert program is not None, "it writes no file itself"
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # lines of our source, with the paths of this machine
    size = sum(tensor.nbytes for tensor in served.state_dict().values())
    program.save(str(file), external_data=size > LARGEST_IN_ONE_FILE)


@contextmanager
def without_hints() -> Iterator[None]:
    """Keep back what torch's exporter and onnxruntime's quantiser tell their developers, of which a user has no use."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.disable(before)


def _served(classifier: Classifier, config: TrialConfig) -> Classifier:
    """The same classifier as it is served. No copy: modules with parametrizations would share their class with it."""
    from torch.nn.utils import parametrize

    merged = ENCODER_METHODS[config.method].merged(classifier.encoder)
    classifier.encoder = merged or classifier.encoder
    for module in list(classifier.modules()):
        if parametrize.is_parametrized(module):  # what is computed from other tensors becomes a plain tensor
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name)
    return classifier.eval()


def _logits_of(classifier: Classifier, names: Sequence[str]) -> nn.Module:
    from torch import nn

    class Logits(nn.Module):
        """The classifier with inputs by position and one output, as the exporter takes it."""

        def __init__(self) -> None:
            super().__init__()
            self.classifier = classifier

        def forward(self, *inputs: Tensor) -> Tensor:
            logits: Tensor = self.classifier(**dict(zip(names, inputs, strict=True))).logits
            return logits

    return Logits().eval()


def _translations() -> dict[Any, Any]:
    """What the exporter lacks: a stable sort, with which the LSTM head puts real tokens first.

    ONNX's TopK is one: of equal elements it gives that with the lower index first. A test notices when the exporter
    knows it (torch 2.13, onnxscript 0.7).
    """
    import torch
    from onnxscript import opset18 as op

    def sort_stable(self: Any, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
        size = op.Gather(op.Shape(self), op.Constant(value_ints=[dim]))
        return op.TopK(self, size, axis=dim, largest=int(descending))

    return {torch.ops.aten.sort.stable: sort_stable}


def _reason(error: Exception) -> str:
    """The sentence in the exporter's long report that says what it could not do."""
    report = str(error)
    for mark in ("No ONNX function found for ", "tracing inferred a static shape of "):
        if mark in report:
            return one_line(mark + report.split(mark, 1)[1].split("\n", 1)[0].split(". ", 1)[0])
    return one_line(report.split("\n", 1)[0])[:200]
