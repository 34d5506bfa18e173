"""A report as a document: headings, tables and pictures in order, the same for HTML and PDF.

Text is plain; every format escapes it on its own.
"""

from dataclasses import dataclass

from services.sla.reports.scene import Scene


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a table; `tone` good, bad, unsure or none makes it a badge, muted lets it step back."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, whether its values are numbers, and its share of the width."""

    title: str
    number: bool = False
    share: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """A table. folded: long, so HTML shows it on demand and when printed."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that matters, with its name and a line about it."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers side by side."""

    figures: tuple[Figure, ...]

    @property
    def across(self) -> int:
        """How many stand side by side on a wide page, so that rows are filled."""
        return {6: 3, 7: 4, 8: 4}.get(len(self.figures), min(5, len(self.figures)))


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, one a line. `code`: the values are to be copied."""

    facts: tuple[tuple[str, str], ...]
    code: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph. tone: empty, muted, or warning."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Steps:
    """Sentences in order; with numbers where the order leads to a result."""

    sentences: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot with the sentence below it."""

    scene: Scene
    legend: tuple[tuple[str, str, str], ...] = ()
    """(colour, pattern, meaning) of what is in it."""


@dataclass(frozen=True, slots=True)
class Title:
    """A heading inside a section."""

    text: str


Block = Table | Figures | Facts | Text | Steps | Picture | Title


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the document. kicker: what kind of part, above the title."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]
    kicker: str = ""
    verdict: Cell | None = None
    new_page: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """The whole. running: what stands on every page. language: of the fixed text."""

    title: str
    client: str
    kicker: str
    verdict: Cell
    lead: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    summary: Table
    overview: Picture | None
    sections: tuple[Section, ...]
    running: str
    content_sha256: str
    language: str = "en"
