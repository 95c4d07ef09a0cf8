"""Where the numbers of a report come from: data, machines, versions, seeds and dates."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from peftsearch.storage.confirmations import read_openings

if TYPE_CHECKING:
    from peftsearch.confirm.summary import Confirmation
    from peftsearch.results.stored_study import StoredStudy


def provenance(stored: StoredStudy, found: Confirmation) -> list[tuple[str, str]]:
    """Terms and what there is to say about them; what is not known is left out.

    Args:
        stored: the study.
        found: what confirming it has found.
    """
    known = stored.records()
    measured = [record.measurement for record in known if record.measurement]
    hosts = sorted({str(record.worker["host"]).split("/")[0] for record in known if "host" in record.worker})
    seeds = sorted({run.seed for row in found.rows for run in row.runs})
    openings = read_openings(stored.study)
    facts = {
        "study": stored.name,
        "data": _data(stored),
        "fingerprint of the data": _list(one.data_fingerprint for one in measured),
        "searched": _period([when for record in known for when in (record.started, record.ended) if when]),
        "command": _command(stored),
        "machines": _list(hosts),
        "device": _list(f"{one.device}, {one.precision}" for one in measured),
        "versions": _list(f"{name} {found}" for one in measured for name, found in one.versions.items()),
        "seed of the search's trials": _list(one.seed for one in measured),
        "seeds of the confirmation": _list(seeds),
        "test split opened": "; ".join(f"{one.when} for trials {_list(one.points)}" for one in openings) or "never",
        "report written": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z} by peftsearch {version('peftsearch')}",
    }
    return [(term, words) for term, words in facts.items() if words]


def _command(stored: StoredStudy) -> str:
    budget = stored.about.budget
    return f"peftsearch optimize --study {shlex.quote(stored.name)} --trials {budget}" if budget else ""


def _period(moments: list[datetime]) -> str:
    return f"{min(moments):%Y-%m-%d %H:%M} to {max(moments):%Y-%m-%d %H:%M}" if moments else ""


def _data(stored: StoredStudy) -> str:
    """What the study file says of the data, without what it leaves as it is."""
    said = {name: value for name, value in (stored.about.data or {}).items() if value not in (None, False, [], {})}
    return "; ".join(f"{name}: {_plain(value)}" for name, value in said.items())


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _list(values: Iterable[object]) -> str:
    """The different values, in the order in which they appear."""
    return ", ".join(dict.fromkeys(map(str, values)))
