"""Stratified draws and splits: seeded, and the same on every machine."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from peftsearch.core.errors import UserError
from peftsearch.data.base import TextData


def draw(labels: Sequence[str], size: int, seed: int) -> list[int]:
    """Draw `size` rows so that each class keeps its share and, if `size` allows it, at least one row.

    Args:
        labels: the label of each row.

    Returns:
        Row numbers in rising order; all of them if there are at most `size`.
    """
    if size >= len(labels):
        return list(range(len(labels)))
    by_class = _positions(labels)
    quotas = _quotas({label: len(rows) for label, rows in by_class.items()}, size)
    rng = np.random.default_rng([seed, size])
    return sorted(int(row) for label, rows in by_class.items() for row in rng.permutation(rows)[: quotas[label]])


def split(
    labels: Sequence[str], groups: Sequence[Hashable], shares: Mapping[str, float], seed: int
) -> dict[str, list[int]]:
    """Divide rows into `train` and the splits of `shares`, so that classes keep their shares and groups stay together.

    A class with enough groups is in every split; with just two, it is in train and in the last of `shares`.

    Args:
        labels: the label of each row; a group with several labels counts as its most frequent one.
        groups: the group of each row.
        shares: the share of all rows, 0..1, for each split but train, which gets the rest.

    Returns:
        Row numbers in rising order for each split.

    Raises:
        UserError: all rows of a class are in one group.
    """
    rng = np.random.default_rng(seed)
    strata = _strata(labels, groups)
    for label in sorted(set(labels)):
        if len(strata.get(label, [])) < 2:
            raise UserError(_too_few(label, list(labels).count(label)))
    parts: dict[str, list[int]] = {name: [] for name in ("train", *shares)}
    for _, members in sorted(strata.items()):
        shuffled = [members[i] for i in rng.permutation(len(members))]
        _deal(sorted(shuffled, key=len, reverse=True), shares, parts)
    return {name: sorted(rows) for name, rows in parts.items()}


def joined(*keys: Sequence[Hashable]) -> list[int]:
    """Number groups of rows: rows that agree in any of `keys` are in one group, directly or through other rows.

    >>> joined(["a", "a", "b", "c"], [1, 2, 2, 3])
    [0, 0, 0, 3]
    """
    parent = list(range(len(keys[0])))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for key in keys:
        first: dict[Hashable, int] = {}
        for row, value in enumerate(key):
            a, b = root(first.setdefault(value, row)), root(row)
            parent[max(a, b)] = min(a, b)
    return [root(row) for row in range(len(parent))]


def _positions(values: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """The rows of each value. The values are sorted as text, an order that no seed or hash changes."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for row, value in enumerate(values):
        found[value].append(row)
    return dict(sorted(found.items(), key=lambda item: str(item[0])))


def _strata(labels: Sequence[str], groups: Sequence[Hashable]) -> dict[str, list[list[int]]]:
    """The groups of each label, each a list of rows, in the order in which they first occur in the data."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    strata: dict[str, list[list[int]]] = defaultdict(list)
    for rows in members.values():
        strata[Counter(labels[row] for row in rows).most_common(1)[0][0]].append(rows)
    return strata


def _deal(groups: Sequence[list[int]], shares: Mapping[str, float], parts: dict[str, list[int]]) -> None:
    """Give each group to the split that lacks most rows of its target. `groups` are sorted, the largest first."""
    missing = _targets(sum(map(len, groups)), shares)
    for rows in groups:
        name = max(missing, key=lambda part: missing[part])
        missing[name] -= len(rows)
        parts[name].extend(rows)


def _targets(rows: int, shares: Mapping[str, float]) -> dict[str, int]:
    """How many of a class's rows each split should get: at least one for train, then at least one for each other."""
    left = rows - 1
    targets = {}
    for name, share in reversed(list(shares.items())):
        targets[name] = min(left, max(1, round(share * rows)))
        left -= targets[name]
    return {"train": left + 1, **targets}


def _quotas(counts: Mapping[Hashable, int], size: int) -> dict[Hashable, int]:
    """`size` divided in proportion to `counts` by largest remainder, at least one each while `size` allows it."""
    total = sum(counts.values())
    least = 1 if size >= len(counts) else 0
    exact = {label: size * count / total for label, count in counts.items()}
    quotas = {label: max(least, int(value)) for label, value in exact.items()}
    by_remainder = sorted(exact, key=lambda label: quotas[label] - exact[label])
    for label in by_remainder[: max(0, size - sum(quotas.values()))]:
        quotas[label] += 1
    for _ in range(sum(quotas.values()) - size):  # small classes were rounded up, so the largest give rows
        quotas[max(quotas, key=lambda label: quotas[label])] -= 1
    return quotas


def _too_few(label: str, rows: int) -> str:
    found = "only 1 row" if rows == 1 else f"{rows} rows that stay together (equal texts, or one data.group)"
    return (
        f"data.splits: class {label!r} has {found}, but a stratified split needs 2; "
        f"add rows, or leave the class out with data.drop_labels: [{label}]"
    )


def check_split(data: TextData, split: str) -> None:
    """Check that `data` has the split, and that all of its labels are classes of the training split.

    Raises:
        UserError: it lacks the split, or some label is none of the classes.
    """
    if split not in data.splits or not len(data.splits[split]):
        raise UserError(f"the data has no {split} split; give it a file, or let data.splits cut one off")
    labels, classes = np.asarray(data.splits[split]["label"]), len(data.labels)
    odd = labels[(labels < 0) | (labels >= classes)]
    if len(odd):
        raise UserError(
            f"{len(odd):,} rows of the {split} split have labels such as {odd[0]}, which is none of the {classes} "
            f"classes of train; a {split} split without its labels cannot be measured"
        )
