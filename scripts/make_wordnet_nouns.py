"""Make `resources/wordnet-nouns` from JSON Lines of noun glosses: `make_wordnet_nouns.py GLOSSES.jsonl.gz`.

A row is `{"text": definition, "label": "noun.animal"}`; the label is the synset's WordNet 3.0 lexicographer file.
"""

import gzip
import hashlib
import json
import sys
from pathlib import Path

SEPARATED = ("animal", "body", "food", "location", "person", "plant", "quantity")
CONFUSABLE = ("act", "artifact", "cognition")
ROWS_PER_CLASS = 420  # all that `quantity` has
TARGET = Path(__file__).parents[1] / "src/peftsearch/resources/wordnet-nouns/glosses.jsonl.gz"


def main(source: Path) -> None:
    # The order by a hash of the text is as good as random, and depends neither on a random generator's version nor on
    # the order of the source.
    lines = gzip.decompress(source.read_bytes()).splitlines()
    rows = sorted(map(json.loads, lines), key=lambda row: hashlib.sha256(row["text"].encode()).digest())
    left = dict.fromkeys((f"noun.{name}" for name in SEPARATED + CONFUSABLE), ROWS_PER_CLASS)
    with TARGET.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        for row in rows:
            if left.get(row["label"], 0) > 0:
                left[row["label"]] -= 1
                row = {"text": row["text"], "label": row["label"].removeprefix("noun.")}
                packed.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
