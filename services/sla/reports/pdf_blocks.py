"""Blocks of a document as PDF flowables: type, tables, badges, figures side by side."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, Paragraph, Spacer
from reportlab.platypus import Table as Grid

from services.sla.reports.document import (
    Block,
    Cell,
    Facts,
    Figure,
    Figures,
    Picture,
    Steps,
    Table,
    Text,
    Title,
)
from services.sla.reports.pdf_fonts import BOLD, REGULAR, markup
from services.sla.reports.pdf_plots import SceneFlowable
from services.sla.reports.scene import Box, Label, Pattern, Scene, Shape

TEXT_WIDTH = 515.0
BRAND, SOFT, LINE = HexColor("#0f3557"), HexColor("#56626e"), HexColor("#d9dfe5")
_TONES = {
    "good": ("#e3eff8", "#0b5a8f"),
    "bad": ("#fbe9e1", "#a23c12"),
    "unsure": ("#fcf1d9", "#7a5400"),
    "none": ("#eceff2", "#4b5763"),
    "muted": ("", "#56626e"),
}
_INK = HexColor("#1c2733")


def style(name: str, size: float, **options: Any) -> ParagraphStyle:
    """A paragraph style in the report's fonts."""
    given: dict[str, Any] = {
        "fontName": REGULAR,
        "leading": size * 1.4,
        "textColor": _INK,
        "splitLongWords": 1,
    }
    return ParagraphStyle(name, fontSize=size, **{**given, **options})


_BODY = style("body", 9.2, spaceBefore=4, spaceAfter=4)
_LEAD = style("lead", 10.8, spaceBefore=2, spaceAfter=8)
_MUTED = style("muted", 9, textColor=SOFT, spaceBefore=4)
_WARNING = style(
    "warning", 9, backColor=HexColor("#fcf1d9"), textColor=HexColor("#4d3600"), borderPadding=(5, 8, 6, 8),
    spaceBefore=12, spaceAfter=10, leftIndent=8, rightIndent=8,
)  # fmt: skip
_HEADING = style("h3", 10.8, fontName=BOLD, spaceBefore=14, spaceAfter=4, keepWithNext=1)
_CAPTION = style("caption", 9.2, fontName=BOLD, spaceBefore=12, spaceAfter=3, keepWithNext=1)
_CELL = style("cell", 7.6)
_NUMBER = style("number", 7.6, alignment=TA_RIGHT)
_HEAD = style("head", 7.2, fontName=BOLD, textColor=SOFT)
_HEAD_NUMBER = style("head-number", 7.2, fontName=BOLD, textColor=SOFT, alignment=TA_RIGHT)
_LABEL = style("label", 7.2, textColor=SOFT)
_SMALL = style("small", 7, textColor=SOFT, leading=9)
_STEP = style("step", 8.8, leftIndent=14, bulletIndent=2, spaceBefore=2)
_NOTE = style("note", 7.4, textColor=SOFT, spaceBefore=2)


def flowables(block: Block) -> list[Flowable]:
    """What a block is on paper."""
    match block:
        case Text():
            return [
                Paragraph(
                    markup(block.text),
                    {"lead": _LEAD, "muted": _MUTED, "warning": _WARNING}.get(block.tone, _BODY),
                )
            ]
        case Title():
            return [CondPageBreak(70), Paragraph(markup(block.text), _HEADING)]
        case Facts():
            return [facts_grid(block.facts)]
        case Steps():
            marks = [f"{n}." if block.numbered else "\u2022" for n in range(1, len(block.sentences) + 1)]
            return [
                Paragraph(markup(text), _STEP, bulletText=mark)
                for mark, text in zip(marks, block.sentences, strict=True)
            ]
        case Figures():
            return [_tiles(block.figures)]
        case Picture():
            drawn: list[Flowable] = [SceneFlowable(block.scene, TEXT_WIDTH)]
            if block.legend:
                drawn.append(SceneFlowable(_legend(block.legend), TEXT_WIDTH))
            return [KeepTogether(drawn)]
        case Table():
            return table_flowables(block)


def table_flowables(block: Table, *, caption: bool = True) -> list[Flowable]:
    """A table whose head is repeated on every page."""
    whole = sum(column.share for column in block.columns)
    head = [Paragraph(markup(c.title), _HEAD_NUMBER if c.number else _HEAD) for c in block.columns]
    body = [
        [badge(cell, _NUMBER if c.number else _CELL) for cell, c in zip(row, block.columns, strict=True)]
        for row in block.rows
    ]
    after_numbers = [
        at
        for at, (before, column) in enumerate(pairwise(block.columns), 1)
        if before.number and not column.number
    ]
    grid = Grid(
        [head, *body],
        colWidths=[TEXT_WIDTH * column.share / whole for column in block.columns],
        repeatRows=1,
        spaceAfter=4,
        style=[
            ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
            ("VALIGN", (0, 1), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.9, HexColor("#9aa7b3")),
            ("LINEBELOW", (0, 1), (-1, -1), 0.4, LINE),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-2, -1), 8),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 2.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.6),
            *(("LEFTPADDING", (at, 0), (at, -1), 14) for at in after_numbers),
        ],
    )
    parts: list[Flowable] = []
    if caption:
        parts += [CondPageBreak(70), Paragraph(markup(block.caption), _CAPTION)]
    parts.append(grid)
    return [*parts, Paragraph(markup(block.note), _NOTE)] if block.note else parts


def badge(cell: Cell, base: ParagraphStyle) -> Paragraph:
    """A cell's text, coloured by its tone."""
    back, ink = _TONES.get(cell.tone, ("", ""))
    if not ink:
        return Paragraph(markup(cell.text), base)
    if not back:
        return Paragraph(f'<font color="{ink}">{markup(cell.text)}</font>', base)
    text = f'<font name="{BOLD}" color="{ink}" backColor="{back}">&nbsp;{markup(cell.text)}&nbsp;</font>'
    return Paragraph(text, base)


def facts_grid(facts: Sequence[tuple[str, str]], *, size: float = 8.6) -> Grid:
    """Names and values, one a line."""
    left, right = style("dt", size, textColor=SOFT), style("dd", size)
    return Grid(
        [[Paragraph(markup(name), left), Paragraph(markup(value), right)] for name, value in facts],
        colWidths=[105, TEXT_WIDTH - 105],
        hAlign="LEFT",
        spaceBefore=4,
        style=[
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 1),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
        ],
    )


def _tiles(figures: Sequence[Figure]) -> Grid:
    across = min(3, len(figures)) if len(figures) not in (4, 7, 8) else 4
    cells = [_tile(figure, TEXT_WIDTH / across) for figure in figures]
    cells += [[] for _ in range(-len(cells) % across)]
    rows = [cells[n : n + across] for n in range(0, len(cells), across)]
    return Grid(
        rows,
        colWidths=[TEXT_WIDTH / across] * across,
        spaceBefore=2,
        spaceAfter=6,
        style=[
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("GRID", (0, 0), (-1, -1), 0.5, LINE),
            ("LEFTPADDING", (0, 0), (-1, -1), 8),
            ("RIGHTPADDING", (0, 0), (-1, -1), 6),
            ("TOPPADDING", (0, 0), (-1, -1), 4),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        ],
    )


def _tile(figure: Figure, width: float) -> list[Flowable]:
    _, ink = _TONES.get(figure.tone, ("", "#1c2733"))
    size = 12.5 if len(figure.value) <= width / 8 else 9.5
    value = style("value", size, fontName=BOLD, textColor=HexColor(ink))
    parts: list[Flowable] = [Paragraph(markup(figure.label), _LABEL), Paragraph(markup(figure.value), value)]
    return [*parts, Paragraph(markup(figure.note), _SMALL)] if figure.note else [*parts, Spacer(0, 2)]


def _legend(legend: Sequence[tuple[str, str, str]]) -> Scene:
    shapes: list[Shape] = []
    x = 0.0
    for colour, pattern, meaning in legend:
        shapes += [
            Box(x, 3, 11, 11, colour, Pattern(pattern), "#6b6f86", stroke="#c3cad1"),
            Label(x + 16, 12.5, meaning, fill="#56626e"),
        ]
        x += 34 + len(meaning) * 5.4
    return Scene(720, 18, "", "", tuple(shapes))
