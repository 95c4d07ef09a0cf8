"""The Python file of an exported folder: some of our own modules in one, so that both compute the same.

transformers takes one file from a folder reliably: it caches files that it imports by the folder's last name alone.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

CODE = "modeling_text_classifier.py"
"""The file's name."""

AUTO_MAP = {
    "AutoConfig": "modeling_text_classifier.TextEncoderClassifierConfig",
    "AutoModelForSequenceClassification": "modeling_text_classifier.TextEncoderClassifier",
}
"""What `config.json` says about where the file's classes are."""

TUNING = {
    None: "peftsearch.export.standard.untuned",
    "peft": "peftsearch.methods.peft_library.adding",
    "adapters": "peftsearch.methods.adapterhub.adding",
}
"""A library that must add its parameters → the module that does it."""

HEAD = '''"""A text classifier: a pretrained encoder, tuned, with a head of its own.

Load it with transformers: AutoModelForSequenceClassification.from_pretrained(FOLDER, trust_remote_code=True).
It was written by peftsearch, and does not need it.
"""

from __future__ import annotations

'''


def modeling_code(library: str | None) -> str:
    """The file for a method of this `library`, or of none if its change is in the encoder's own weights."""
    modules = ("peftsearch.backbones.poolings", "peftsearch.backbones.head_modules", TUNING[library],
               "peftsearch.export.standard.hub_model")  # fmt: skip
    return joined([source_of(module) for module in modules])


def joined(sources: list[str]) -> str:
    """Python modules as one: first what they import, but nothing of ours, then what they define."""
    plain, names, definitions = set(), defaultdict[str, set[str]](set), []
    for source in sources:
        tops, body = _parted(source)
        for node in tops:
            if isinstance(node, ast.Import):
                plain.add(ast.unparse(node))
            elif isinstance(node, ast.ImportFrom):
                names[str(node.module)].update(alias.name for alias in node.names)
        # What a module defines for types alone, beside what it imports for them.
        definitions += [ast.unparse(node) for node in tops if isinstance(node, ast.Assign)]
        definitions.append(body)
    ours = [module for module in names if module.split(".")[0] in ("peftsearch", "__future__", "typing")]
    named = [f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names.keys() - ours)]
    return (
        HEAD
        + "\n".join([*sorted(plain), *named, "from typing import Any"])
        + "\n\n\n"
        + "\n\n\n".join(definitions)
        + "\n"
    )


def source_of(module: str) -> str:
    """The text of an importable module, which is not imported for that."""
    spec = find_spec(module)
    assert spec is not None, f"{module} is one of ours"
    assert spec.origin is not None, f"{module} is a file"
    return Path(spec.origin).read_text(encoding="utf-8")


def _parted(source: str) -> tuple[list[ast.stmt], str]:
    """The imports of a module, with all that stands beside those for types, and the text that follows them."""
    found, end = list[ast.stmt](), 0
    for node in ast.parse(source).body:
        block = node.body if isinstance(node, ast.If) else [node]
        if isinstance(block[0], (ast.Import, ast.ImportFrom)):
            end = max(end, node.end_lineno or 0)
            found += block
    return found, "\n".join(source.splitlines()[end:]).strip("\n")
