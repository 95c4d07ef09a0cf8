"""The model card of an exported classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peftsearch.core.escaping import markdown_text
from peftsearch.core.secrets import hide_source
from peftsearch.data.columns import columns_of
from peftsearch.methods.table import METHODS
from peftsearch.results.formatting import config_in_words, count_in_words
from peftsearch.training.checkpoint import Checkpoint

CARD = """---
{front_matter}---

# {title}

Labels {what} as one of {count} classes: {labels}.

{goal}
- **Backbone**: {backbone}{revision}
- **Method**: {method} ({summary}): {settings}
- **Paper**: {paper}
- **Data**: {source} (fingerprint `{fingerprint}`), at most {max_length} tokens a text
- **Chosen from**: study {study}, trial {trial}, on the validation split; the test split was not used

| measured | value |
| --- | --- |
{metrics}
| trainable parameters | {trainable} of {total} |
| train seconds | {seconds:.1f} on {device} ({precision}) |
| epochs | {epochs}, the weights are those of epoch {best_epoch} |

## Use

```python
import peftsearch

classifier = peftsearch.load_classifier(".")
classifier.predict([{example}])
```

`config.yaml` holds the whole configuration, `labels.json` the class names by index.

## Licence

The weights derive from the backbone and the texts named above: their licences apply, and this folder adds none.
"""

SHOWN = ("accuracy", "macro_f1", "weighted_f1", "macro_precision", "macro_recall")


def model_card(kept: Checkpoint, about: Mapping[str, Any]) -> str:
    """The model card in Markdown; `about` holds what is known about the study: `study`, `goal`, `data`."""
    config, measurement, method = kept.config, kept.measurement, METHODS[kept.config.method]
    data = about.get("data") or {}
    pair = isinstance(data.get("text"), list)
    facts = {
        "title": f"{about.get('study') or 'Text classifier'}: {method.name}",
        "backbone": config.backbone,
        "revision": f" at {config.revision}" if config.revision else "",
        "labels": ", ".join(kept.labels),
        "method": method.name,
        "summary": method.summary,
        "settings": config_in_words(config) or "as is",
        "source": _source_in_words(data.get("source", "not recorded")),
        "study": str(about.get("study")),
        "device": measurement.device,
        "precision": measurement.precision,
    }
    return CARD.format(
        **{name: markdown_text(words) for name, words in facts.items()},
        front_matter=_front_matter(config.backbone),
        what="a pair of texts" if pair else "a text",
        count=len(kept.labels),
        goal=f"{markdown_text(about['goal'])}\n" if about.get("goal") else "",
        paper=method.paper,
        fingerprint=measurement.data_fingerprint,
        max_length=config.max_length,
        trial=kept.number,
        metrics="\n".join(
            f"| {name.replace('_', ' ')} (validation) | {measurement.metrics[name]:.4f} |"
            for name in SHOWN
            if name in measurement.metrics
        ),
        trainable=count_in_words(measurement.trainable_parameters),
        total=count_in_words(measurement.total_parameters),
        seconds=measurement.train_seconds,
        epochs=measurement.epochs,
        best_epoch=measurement.best_epoch,
        example=_example(data.get("text") or "text"),
    )


def _example(written: str | list[str]) -> str:
    """What `predict` takes: a text, a pair, or the columns that a text is composed of."""
    texts = [written] if isinstance(written, str) else written
    columns = dict.fromkeys((name for text in texts for name in columns_of(text)), "…")
    if len(columns) != len(texts) or any(len(columns_of(text)) > 1 for text in texts):
        return repr(columns)
    return '("one text", "and another")' if len(texts) == 2 else '"a text"'


def _front_matter(backbone: str) -> str:
    """What the hub reads of a card, as YAML."""
    import yaml

    known = {"library_name": "peftsearch", "pipeline_tag": "text-classification", "base_model": backbone}
    return str(yaml.safe_dump(known, sort_keys=False, width=10_000))


def _source_in_words(source: Any) -> str:
    hidden = hide_source(source)
    if isinstance(hidden, Mapping):
        return ", ".join(f"{split}: {file}" for split, file in hidden.items())
    return str(hidden)
