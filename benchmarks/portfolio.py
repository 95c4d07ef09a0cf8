"""Choose a portfolio: configurations that add most to the front of a study, learnt from recorded learning curves.

    python -m benchmarks.portfolio

The configurations are rows of the tables. They are chosen greedily: each next one is that which adds most hypervolume
to the default configurations and to those chosen before it, on average over tables and over studies of eight of the
methods, which differ from draw to draw. By default the tables are the two of one encoder, so that the third one tests
what is shipped on an encoder that did not teach it.

The list is written to `src/peftsearch/resources/portfolio.json`, from which `study/starting_points/portfolio.py` takes
what a study's methods and ranges allow. `benchmarks/proposals.py --portfolio` measures what a list learnt on one table
is worth on another.

Source: Feurer et al., "Auto-Sklearn 2.0" (2022), section 3; hypervolume is submodular, so greedy choices are near the
best ones, and a gain that was computed for fewer configurations bounds the present one.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.curves import LONG_TABLES
from benchmarks.proposals import Nearest, eight, study_of
from benchmarks.replay import HERE, Table

from peftsearch.core.config import TrialConfig
from peftsearch.core.dimensions import Fixed
from peftsearch.study.spec import StudySpec
from peftsearch.study.starting_points.portfolio import Entry
from peftsearch.study.suggest import baseline_config

LENGTH = 44
"""Two configurations for each of the 22 methods, on average."""

DRAWS = range(1000, 1032)
"""Other draws of eight methods than those that the replays of `benchmarks/proposals.py` take."""

TARGET = HERE.parent / "src" / "peftsearch" / "resources" / "portfolio.json"


class Teacher:
    """One table, and the studies of eight methods in which configurations are tried.

    A configuration that is not in the table counts as its row with the nearest settings. Equal work has equal seconds
    (`Table.quiet`), because a portfolio would else be chosen for the luck of its measurements.
    """

    def __init__(self, table: Table, spec: StudySpec) -> None:
        self.table, self.spec = table, spec
        self._nearest = Nearest(table, spec)
        first = {b.method: self._nearest(baseline_config(spec, b)) for b in spec.baselines}
        self.studies = [(set(names), [first[name] for name in names]) for names in (eight(spec, d) for d in DRAWS)]
        self.volumes = [table.volume(places, quiet=True) for _, places in self.studies]

    def gain(self, config: TrialConfig) -> float:
        """The mean hypervolume that a configuration adds to the studies."""
        if config.method not in self.spec.methods:
            return 0.0
        place = self._nearest(config)
        added = [
            self.table.volume([*places, place], quiet=True) - volume
            for (methods, places), volume in zip(self.studies, self.volumes, strict=True)
            if config.method in methods
        ]
        return sum(added) / len(self.studies)

    def take(self, config: TrialConfig) -> None:
        for number, (methods, places) in enumerate(self.studies):
            if config.method in methods:
                places.append(self._nearest(config))
                self.volumes[number] = self.table.volume(places, quiet=True)


def learnt(teachers: Sequence[Teacher], length: int = LENGTH) -> list[Entry]:
    """The configurations that add most, the most useful first."""
    spec = teachers[0].spec
    candidates = {
        str(entry(record.config, spec)): record.config
        for teacher in teachers
        for record in teacher.table.records
        if record.config and record.config.method in spec.methods
    }
    heap = [(-sum(teacher.gain(config) for teacher in teachers), name) for name, config in candidates.items()]
    heapq.heapify(heap)
    chosen: list[TrialConfig] = []
    while heap and len(chosen) < length:
        _, name = heapq.heappop(heap)
        now = -sum(teacher.gain(candidates[name]) for teacher in teachers)
        if heap and now > heap[0][0]:
            heapq.heappush(heap, (now, name))
            continue
        chosen.append(candidates[name])
        for teacher in teachers:
            teacher.take(candidates[name])
    return [entry(config, spec) for config in chosen]


def entry(config: TrialConfig, spec: StudySpec) -> Entry:
    space = spec.methods[config.method]
    settings = {name: config.settings[name] for name in space if not isinstance(space[name], Fixed)}
    rounded = {name: float(f"{value:.2g}") if isinstance(value, float) else value for name, value in settings.items()}
    return {"method": config.method, "settings": rounded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(LONG_TABLES), help="names of the tables")
    parser.add_argument("--length", type=int, default=LENGTH, help="number of configurations")
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()
    tables = {name: Table(name) for name in options.tables}
    found = learnt([Teacher(table, study_of(name, table)) for name, table in tables.items()], options.length)
    lines = ",\n".join(f"  {json.dumps(each)}" for each in found)
    options.output.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(found)} configurations in {options.output}")


if __name__ == "__main__":
    main()
