"""A report as PDF: the same document as the HTML, laid out on A4 pages.

The same content gives the same bytes: dates and ids in the file are fixed, and the fonts are our own.
"""

from io import BytesIO

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus import Table as Grid

from services.sla.reports.compose import document_of
from services.sla.reports.document import Document, Section
from services.sla.reports.pdf_blocks import (
    BRAND,
    LINE,
    SOFT,
    TEXT_WIDTH,
    badge,
    facts_grid,
    flowables,
    style,
    table_flowables,
)
from services.sla.reports.pdf_fonts import BOLD, REGULAR, markup, register
from services.sla.reports.wording import shown

_MARGIN = (A4[0] - TEXT_WIDTH) / 2
_KICKER = style("kicker", 7.6, fontName=BOLD, textColor=SOFT)
_TITLE = style("title", 24, fontName=BOLD, textColor=BRAND, leading=29)
_CLIENT = style("client", 13.5)
_SECTION = style("section", 17, fontName=BOLD, textColor=BRAND, leading=21)
_LONG = style("long-title", 11, fontName=BOLD, textColor=BRAND)
_LONG_TITLE = 60
_LEAD = style("cover-lead", 11, spaceBefore=10)
_WARNING = style(
    "cover-warning", 9, backColor=HexColor("#fcf1d9"), textColor=HexColor("#4d3600"),
    borderPadding=(5, 8, 6, 8), spaceBefore=12, spaceAfter=4, leftIndent=8, rightIndent=8,
)  # fmt: skip
_BADGE = style("badge", 11, alignment=2)


def render_pdf(content: bytes) -> bytes:
    """The file's bytes, from canonical bytes alone: the same for the same content.

    Raises:
        ValueError: it is not the content of a report.
    """
    register()
    document = document_of(content)
    total = _laid_out(document, None)[1]
    return _laid_out(document, total)[0]


def _laid_out(document: Document, total: int | None) -> tuple[bytes, int]:
    """Bytes and number of pages; the first round only counts them."""
    out = BytesIO()
    pages = 0

    def foot(canvas: Canvas, _: BaseDocTemplate) -> None:
        nonlocal pages
        pages = canvas.getPageNumber()
        _foot(canvas, document, pages, total)

    frame = Frame(
        _MARGIN, 52, TEXT_WIDTH, A4[1] - 52 - 46, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0
    )
    file = BaseDocTemplate(
        out,
        pagesize=A4,
        invariant=1,
        title=f"{shown(document.client)}: {shown(document.title)}",
        author="threenines",
        subject=document.content_sha256,
        creator="threenines",
        lang=document.language,
    )
    file.addPageTemplates([PageTemplate("page", [frame], onPage=foot)])
    file.build(_story(document))
    return out.getvalue(), pages


def _story(document: Document) -> list[Flowable]:
    story: list[Flowable] = [
        _heading(document.kicker, document.title, _TITLE, badge(document.verdict, _BADGE))
    ]
    story += [Paragraph(markup(document.client), _CLIENT), Paragraph(markup(document.lead), _LEAD)]
    story += [Paragraph(markup(text), _WARNING) for text in document.warnings]
    story += [Spacer(0, 14), *table_flowables(document.summary, caption=False), Spacer(0, 14)]
    if document.overview is not None:
        story += [*flowables(document.overview), Spacer(0, 12)]
    story.append(facts_grid(document.facts))
    for section in document.sections:
        story += _section(section)
    return story


def _section(section: Section) -> list[Flowable]:
    parts: list[Flowable] = [PageBreak()] if section.new_page else [Spacer(0, 24), CondPageBreak(140)]
    right = badge(section.verdict, _BADGE) if section.verdict else None
    parts.append(_Bookmark(section.anchor, section.title))
    parts += [_heading(section.kicker, section.title, _SECTION, right), Spacer(0, 4)]
    for block in section.blocks:
        parts += flowables(block)
    return parts


class _Bookmark(Flowable):
    """A place of the document in the reader's outline."""

    def __init__(self, key: str, title: str) -> None:
        super().__init__()
        self._key, self._title = key, shown(title)
        self.width = self.height = 0

    def draw(self) -> None:
        """Onto the page, at the place that the layout chose."""
        canvas: Canvas = self.canv
        canvas.bookmarkPage(self._key)
        canvas.addOutlineEntry(self._title, self._key, 0)


def _heading(kicker: str, title: str, kind: ParagraphStyle, right: Paragraph | None) -> Grid:
    """A title, above it what kind of part this is, beside it the verdict."""
    fitting = kind if len(title) <= _LONG_TITLE else _LONG
    parts = [Paragraph(markup(kicker.upper()), _KICKER), Paragraph(markup(title), fitting)]
    return Grid(
        [[parts, right or ""]],
        colWidths=[TEXT_WIDTH - 150, 150],
        style=[
            ("VALIGN", (0, 0), (-1, -1), "BOTTOM"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        ],
    )


def _foot(canvas: Canvas, document: Document, page: int, total: int | None) -> None:
    canvas.saveState()
    canvas.setFillColor(BRAND)
    if page == 1:
        canvas.rect(0, A4[1] - 8, A4[0], 8, stroke=0, fill=1)
    canvas.setStrokeColor(LINE)
    canvas.setLineWidth(0.5)
    canvas.line(_MARGIN, 42, A4[0] - _MARGIN, 42)
    canvas.setFillColor(SOFT)
    canvas.setFont(REGULAR, 7)
    running = shown(document.running)
    canvas.drawString(_MARGIN, 31, running if len(running) <= 110 else running[:109] + "\u2026")
    canvas.drawString(_MARGIN, 21, f"Content SHA-256 {document.content_sha256}")
    canvas.drawRightString(A4[0] - _MARGIN, 31, f"Page {page} of {total or 0}")
    canvas.restoreState()
