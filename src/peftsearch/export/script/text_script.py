"""The script of a trial of TF-IDF, which needs scikit-learn alone."""

from __future__ import annotations

from collections.abc import Mapping

from peftsearch.core.config import TrialConfig
from peftsearch.export.script.template import code_of, filled

TEMPLATE = '''"""<<title>>

<<origin>>
It needs:   pip install scikit-learn
To fit:     python <<file>>
To label:   python <<file>> --label <<example>>

Fitting takes seconds, so that nothing is kept.
"""

import argparse
import json
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline

ROWS = Path(__file__).parent / <<rows>>
LABELS = <<labels>>
LONGEST_TERM = <<longest_term>>
MINIMUM_TEXTS = <<minimum_texts>>
INVERSE_PENALTY = <<inverse_penalty>>


def read(file):
    """Texts and labels; the rows are {"text": …, "label": …}, and a pair has its second text as "pair"."""
    with open(file, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    texts = [f"{row['text']} {row['pair']}" if "pair" in row else row["text"] for row in rows]
    return texts, [row["label"] for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", default=ROWS / "train.jsonl")
    parser.add_argument("--validation", default=ROWS / "validation.jsonl")
    parser.add_argument("--label", nargs="+", metavar="TEXT", help="label texts")
    options = parser.parse_args()
    vectorizer = TfidfVectorizer(
        ngram_range=(1, LONGEST_TERM), min_df=MINIMUM_TEXTS, sublinear_tf=True, token_pattern=r"(?u)\\b\\w+\\b"
    )
    model = make_pipeline(vectorizer, LogisticRegression(C=INVERSE_PENALTY, max_iter=1000))
    model.fit(*read(options.train))
    if options.label:
        for text, label in zip(options.label, model.predict(options.label)):
            print(label, json.dumps(text, ensure_ascii=False))
        return
    texts, labels = read(options.validation)
    score = f1_score(labels, model.predict(texts), labels=LABELS, average="macro", zero_division=0.0)
    print(f"best: macro F1 {score:.4f}")


if __name__ == "__main__":
    main()
'''


def text_script(config: TrialConfig, labels: tuple[str, ...], about: Mapping[str, str]) -> str:
    """The script; `about` holds `title`, `origin`, `file`, and `rows`: the name of the folder beside it."""
    settings = {name: code_of(value) for name, value in config.settings.items()}
    named = {"labels": code_of(list(labels)), "example": '"a text"', "rows": code_of(about["rows"])}
    return filled(TEMPLATE, {**about, **settings, **named})
