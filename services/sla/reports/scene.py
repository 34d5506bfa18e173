"""A picture as shapes in a box, drawn alike as SVG and in PDF. Knows nothing of what it shows.

Coordinates in points, (0, 0) at the top left. Colours are `#rrggbb`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Pattern(StrEnum):
    """What lies over a fill, so that colour is never the only sign."""

    PLAIN = "plain"
    HATCHED = "hatched"
    DOTTED = "dotted"


class Anchor(StrEnum):
    """Which part of a text is at its place; the values are SVG's."""

    START = "start"
    MIDDLE = "middle"
    END = "end"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `note` is told when pointed at."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    pattern: Pattern = Pattern.PLAIN
    ink: str = ""
    stroke: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Joined lines, or with `fill` the area that they enclose."""

    points: tuple[tuple[float, float], ...]
    stroke: str = ""
    width: float = 1
    dashed: bool = False
    fill: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """One line of text."""

    x: float
    y: float
    text: str
    anchor: Anchor = Anchor.START
    fill: str = "#3d4852"
    bold: bool = False
    size: float = 10


Shape = Box | Line | Label


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture. title and description say in words what it shows."""

    width: float
    height: float
    title: str
    description: str
    shapes: tuple[Shape, ...]
