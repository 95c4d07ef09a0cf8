"""Choose a portfolio: configurations that add most to the front of a study, learnt from recorded learning curves.

    python -m benchmarks.portfolio

The configurations are rows that all tables have. They are chosen greedily: each next one is that which adds most
hypervolume to the default configurations and to those chosen before it, on average over tables and over studies of
eight of the methods, which differ from draw to draw. The list is written to `src/peftsearch/resources/portfolio.json`,
from which `study/starting_points/portfolio.py` takes what a study's methods and ranges allow.
`benchmarks/proposals.py --portfolio` measures what a list learnt on one table is worth on the other.

Source: Feurer et al., "Auto-Sklearn 2.0" (2022), section 3; hypervolume is submodular, so greedy choices are near the
best ones, and a gain that was computed for fewer configurations bounds the present one.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.proposals import Nearest, eight
from benchmarks.replay import HERE, Table

from peftsearch.core.config import TrialConfig
from peftsearch.core.dimensions import Fixed
from peftsearch.study.spec import StudySpec, load_study
from peftsearch.study.starting_points.portfolio import Entry
from peftsearch.study.suggest import baseline_config

LENGTH = 44
"""Two configurations for each of the 22 methods, on average."""

DRAWS = range(1000, 1032)
"""Other draws of eight methods than those that the replays of `benchmarks/proposals.py` take."""

TARGET = HERE.parent / "src" / "peftsearch" / "resources" / "portfolio.json"


class Teacher:
    """One table, and the studies of eight methods in which configurations are tried.

    Equal work has equal seconds (`Table.quiet`), because a portfolio would else be chosen for the luck of its
    measurements.

    Attributes:
        places: index of a configuration → its row.
    """

    def __init__(self, table: Table, spec: StudySpec) -> None:
        self.table = table
        self.places = {record.number: place for place, record in enumerate(table.records)}
        nearest = Nearest(table, spec)
        first = {b.method: nearest(baseline_config(spec, b)) for b in spec.baselines}
        self.studies = [(set(names), [first[name] for name in names]) for names in (eight(spec, d) for d in DRAWS)]
        self.volumes = [table.volume(places, quiet=True) for _, places in self.studies]

    def method(self, index: int) -> str:
        return config_of(self.table, self.places[index]).method

    def gain(self, index: int) -> float:
        """The mean hypervolume that a configuration adds to the studies."""
        place, method = self.places[index], self.method(index)
        added = [
            self.table.volume([*places, place], quiet=True) - volume
            for (methods, places), volume in zip(self.studies, self.volumes, strict=True)
            if method in methods
        ]
        return sum(added) / len(self.studies)

    def take(self, index: int) -> None:
        for number, (methods, places) in enumerate(self.studies):
            if self.method(index) in methods:
                places.append(self.places[index])
                self.volumes[number] = self.table.volume(places, quiet=True)


def config_of(table: Table, place: int) -> TrialConfig:
    config = table.records[place].config
    assert config is not None  # every row of a table has one
    return config


def learnt(tables: Sequence[Table], spec: StudySpec, length: int = LENGTH) -> list[Entry]:
    """The configurations that add most, the most useful first."""
    teachers = [Teacher(table, spec) for table in tables]
    common = set.intersection(*(set(teacher.places) for teacher in teachers))
    heap = [(-sum(teacher.gain(index) for teacher in teachers), index) for index in common]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < length:
        _, index = heapq.heappop(heap)
        now = -sum(teacher.gain(index) for teacher in teachers)
        if heap and now > heap[0][0]:
            heapq.heappush(heap, (now, index))
            continue
        chosen.append(index)
        for teacher in teachers:
            teacher.take(index)
    return [entry(config_of(tables[0], teachers[0].places[index]), spec) for index in chosen]


def entry(config: TrialConfig, spec: StudySpec) -> Entry:
    space = spec.methods[config.method]
    settings = {name: config.settings[name] for name in space if not isinstance(space[name], Fixed)}
    rounded = {name: float(f"{value:.2g}") if isinstance(value, float) else value for name, value in settings.items()}
    return {"method": config.method, "settings": rounded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=["curves", "curves-glosses"], help="names of the tables")
    parser.add_argument("--length", type=int, default=LENGTH, help="number of configurations")
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()
    spec = load_study(str(HERE / f"{options.tables[0]}.yaml"))
    found = learnt([Table(name) for name in options.tables], spec, options.length)
    lines = ",\n".join(f"  {json.dumps(each)}" for each in found)
    options.output.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(found)} configurations in {options.output}")


if __name__ == "__main__":
    main()
