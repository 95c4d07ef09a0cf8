"""Labelling texts on the command line does without scikit-learn, which can be imported all the same."""

from __future__ import annotations

import subprocess
import sys

IMPORT = """
import sys
from peftsearch.predict.quick_import import import_transformers
import_transformers()
from transformers import AutoModel, AutoTokenizer
assert AutoModel is not None
assert not {"sklearn", "scipy.stats", "pandas"} & set(sys.modules)
import sklearn
import_transformers()
"""


def test_transformers_alone_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
