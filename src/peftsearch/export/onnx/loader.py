"""The lines that open an exported graph with onnxruntime and a tokenizer alone."""

from __future__ import annotations

import json
from pathlib import Path

GRAPH, QUANTISED = "onnx/model.onnx", "onnx/model_int8.onnx"
"""Where the graphs lie in an exported folder; transformers.js and optimum look there too."""

LOADER = """\
import json
from pathlib import Path

import onnxruntime
from transformers import AutoTokenizer

folder = Path("DIR")
tokenizer = AutoTokenizer.from_pretrained(folder)
session = onnxruntime.InferenceSession(folder / "GRAPH")
names = [taken.name for taken in session.get_inputs()]
labels = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]


def logits(texts, pairs=None):
    batch = tokenizer(texts, pairs, padding=True, truncation=True, return_tensors="np")
    return session.run(["logits"], {name: batch[name] for name in names})[0]


print([labels[str(best)] for best in logits(EXAMPLE).argmax(axis=1)])
"""
"""Needs onnxruntime, transformers (without torch) and nothing else."""


def loader_of(folder: Path | str, graph: str = GRAPH, pair: bool = False) -> str:
    """The lines that open this graph of an exported folder and label one text, or a pair of texts.

    >>> "InferenceSession" in loader_of("my-classifier")
    True
    """
    example = '["a text"], ["its second text"]' if pair else '["a text"]'
    return (
        LOADER.replace('"DIR"', json.dumps(str(folder), ensure_ascii=False))
        .replace("GRAPH", graph)
        .replace("EXAMPLE", example)
    )
