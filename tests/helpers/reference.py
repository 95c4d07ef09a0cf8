"""Files in the formats of the reference experiments' data, with made-up rows, and tiny models in place of theirs."""

from __future__ import annotations

import csv
import io
import json
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

from peftsearch.study.overrides import Overrides
from tests.helpers.tiny import WORDS, tiny_model

ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "agnews": ("bert", "distilbert"),
    "emotion": ("bert",),
    "kinopoisk": ("bert", "mamba"),
    "lenta": ("modernbert", "modernbert"),
    "mrpc": ("bert",),
}
"""Of each study's backbones, in their order."""

EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")
TOPICS = ("Россия", "Мир", "Спорт", "Крым", "Легпром", "Библиотека")
RUSSIAN = ("хороший", "плохой", "фильм", "очень", "не", "мир", "спорт", "новость", "вчера", "сегодня")


def overrides(study: str, folder: Path) -> Overrides:
    """Files and tiny models for a shipped study, made in `folder`."""
    words = [*WORDS, *RUSSIAN]
    models = [
        str(tiny_model(folder / f"model-{place}", architecture, vocabulary=words, seed=place, positions=512))
        for place, architecture in enumerate(ARCHITECTURES[study])
    ]
    return Overrides(FILES[study](folder), backbones=tuple(models))


def ag_news(folder: Path) -> dict[str, str]:
    """Class 1 to 4, title, description; quoted, no header line."""
    rng = random.Random(0)
    files = {}
    for split, count in (("train", 100), ("test", 20)):
        rows = [[str(i % 4 + 1), _text(rng, 4), _text(rng, 10)] for i in range(count)]
        files[split] = _csv(folder / f"{split}.csv", rows, quoting=csv.QUOTE_ALL)
    return files


def emotion(folder: Path) -> dict[str, str]:
    """`text;label_name`."""
    rng = random.Random(1)
    files = {}
    for split, count in (("train", 60), ("validation", 24), ("test", 24)):
        rows = [["text", "label_name"], *([_text(rng, 12), EMOTIONS[i % 6]] for i in range(count))]
        files[split] = _csv(folder / f"{split}.txt", rows, delimiter=";")
    return files


def mrpc(folder: Path) -> dict[str, str]:
    """Tab-separated; a field with a quotation mark or a tab in it is quoted."""
    rng = random.Random(2)
    files = {}
    for split, count in (("train", 60), ("test", 20)):
        rows = [["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]]
        for i in range(count):
            rows.append([str(int(i % 3 > 0)), f"{i}1", f"{i}2", f'{_text(rng, 6)} "\tgood', _text(rng, 8)])
        files[split] = _csv(folder / f"msr_{split}.txt", rows, delimiter="\t")
    return files


def kinopoisk(folder: Path) -> dict[str, str]:
    """JSON Lines with the columns of the reviews; every text begins with an empty line."""
    rng = random.Random(3)
    rows = [
        {"part": "top250", "movie_name": f"Фильм {i % 7}", "review_id": i, "author": f"автор {i}", "title": None,
         "grade3": ("Good", "Bad", "Neutral")[i % 3], "grade10": 10.0, "content": f"\n{_text(rng, 10, RUSSIAN)}"}
        for i in range(90)
    ]  # fmt: skip
    path = folder / "kinopoisk.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return {"train": str(path)}


def lenta(folder: Path) -> dict[str, str]:
    """A CSV in a zip: url, title, text, topic, tags, date; some rows lack a text."""
    rng = random.Random(4)
    rows = [["url", "title", "text", "topic", "tags", "date"]]
    for i in range(96):
        text = "" if i % 24 == 5 else _text(rng, 14, RUSSIAN)
        rows.append([f"https://lenta.ru/{i}", _text(rng, 3, RUSSIAN), text, TOPICS[i % 6], "Все", "2019-01-01"])
    table = io.StringIO()
    csv.writer(table).writerows(rows)
    path = folder / "lenta-ru-news.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lenta-ru-news.csv", table.getvalue())
    return {"train": str(path)}


FILES = {"agnews": ag_news, "emotion": emotion, "kinopoisk": kinopoisk, "lenta": lenta, "mrpc": mrpc}


def _text(rng: random.Random, length: int, words: Sequence[str] = WORDS) -> str:
    """Words and a number, so that hardly two texts are equal."""
    return " ".join([*rng.choices(words, k=length), str(rng.randrange(10**6))])


def _csv(path: Path, rows: list[list[str]], **dialect: object) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, **dialect).writerows(rows)  # type: ignore[arg-type]
    return str(path)
