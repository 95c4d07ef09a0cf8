"""Pictures of one trial hold what they should, also with many classes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from peftsearch.core.measurement import ClassReport
from peftsearch.report.figures.method_style import style_of
from peftsearch.report.figures.trial_pictures import confusion_png, curve_png
from tests.helpers.records import complete

TRIAL = complete(0, "lora", 0.9, 1000, 2.0)


def pixels(png: bytes) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def rgb(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def test_the_curve_is_in_the_method_s_colour_and_follows_the_score() -> None:
    drawn = pixels(curve_png(TRIAL, "macro_f1"))
    at = np.argwhere((drawn == rgb(style_of("lora").colour)).all(axis=2))
    upper = at[at[:, 0] < len(drawn) / 2]
    left, right = upper[upper[:, 1] < np.quantile(upper[:, 1], 0.2)], upper[upper[:, 1] > np.quantile(upper[:, 1], 0.8)]
    assert right[:, 0].mean() < left[:, 0].mean() - 50, "macro F1 rises from 0.3 to 0.9"


def test_a_confusion_matrix_is_darkest_where_most_rows_of_a_class_are() -> None:
    same = ClassReport(("a", "b"), ((0, 0, 9), (0, 1, 1), (1, 1, 10)))
    swapped = ClassReport(("a", "b"), ((0, 1, 10), (1, 0, 10)))
    drawn = [pixels(confusion_png(TRIAL, report)).astype(int) for report in (same, swapped)]
    dark = [np.argwhere(image[..., 2] - image[..., 0] > 80) for image in drawn]
    slopes = [np.corrcoef(where[:, 0], where[:, 1])[0, 1] for where in dark]
    assert slopes[0] > 0.3
    assert slopes[1] < -0.3


def test_a_matrix_of_many_classes_stays_small() -> None:
    labels = tuple(f"class {place}" for place in range(150))
    report = ClassReport(labels, tuple((place, place, 1) for place in range(150)))
    assert pixels(confusion_png(TRIAL, report)).shape[0] < 1000
