"""The colour and the marker of each method: the same in every study and in every figure.

The markers alone tell all methods apart, for whoever sees no colours. Methods that are often compared have different
colours too.
"""

from __future__ import annotations

from typing import NamedTuple

BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
"""Colours for every kind of colour vision, without the yellow, which is too pale on white.

Source: Okabe and Ito, "Color universal design" (2008)."""

PALE = 0.55
"""How much white is mixed into a method's colour for trials that are not on the front."""


class MethodStyle(NamedTuple):
    """How the trials of a method are drawn.

    Attributes:
        colour: `#RRGGBB`, of trials on the front.
        marker: the name of a plotly symbol; `png.py` has the same shapes for matplotlib.
    """

    colour: str
    marker: str

    @property
    def pale(self) -> str:
        """`#RRGGBB`, of trials that are not on the front."""
        channels = [int(self.colour[at : at + 2], 16) for at in (1, 3, 5)]
        return "#" + "".join(f"{round(value + (255 - value) * PALE):02X}" for value in channels)


STYLES: dict[str, MethodStyle] = {
    "full": MethodStyle(BLUE, "circle"),
    "lora": MethodStyle(VERMILLION, "square"),
    "tfidf": MethodStyle(BLACK, "x"),
    "none": MethodStyle(BLACK, "cross"),
    "probe": MethodStyle(GREEN, "triangle-up"),
    "bitfit": MethodStyle(PURPLE, "diamond"),
    "prefix": MethodStyle(ORANGE, "star"),
    "seq_bn": MethodStyle(SKY, "pentagon"),
    "frozen": MethodStyle(ORANGE, "triangle-down"),
    "unfreezing": MethodStyle(SKY, "triangle-right"),
    "layernorm": MethodStyle(GREEN, "hexagon"),
    "adalora": MethodStyle(PURPLE, "octagon"),
    "vera": MethodStyle(BLUE, "diamond-tall"),
    "loha": MethodStyle(ORANGE, "bowtie"),
    "lokr": MethodStyle(GREEN, "hourglass"),
    "ia3": MethodStyle(SKY, "star-diamond"),
    "prompt": MethodStyle(BLUE, "star-triangle-up"),
    "p_tuning": MethodStyle(VERMILLION, "star-triangle-down"),
    "double_seq_bn": MethodStyle(BLACK, "hexagram"),
    "par_bn": MethodStyle(VERMILLION, "triangle-left"),
    "compacter": MethodStyle(PURPLE, "diamond-wide"),
    "loreft": MethodStyle(BLACK, "triangle-ne"),
    "unipelt": MethodStyle(BLUE, "star-square"),
    "mam": MethodStyle(PURPLE, "triangle-sw"),
}
"""Method → its style. A new method takes a marker that no other one has."""

UNKNOWN = MethodStyle("#777777", "circle-open")
"""The style of a method that only another version has."""


def style_of(method: str) -> MethodStyle:
    """The colour and the marker of a method."""
    return STYLES.get(method, UNKNOWN)
