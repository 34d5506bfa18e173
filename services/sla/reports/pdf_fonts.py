"""The fonts of PDF reports, shipped beside this file: a machine without fonts gives the same bytes."""

from functools import cache
from html import escape
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from services.sla.reports.wording import shown

REGULAR, BOLD = "NotoSans", "NotoSans-SemiBold"
_FILES = {REGULAR: "NotoSans-Regular.ttf", BOLD: "NotoSans-SemiBold.ttf"}
_DIRECTORY = Path(__file__).parent / "fonts"


@cache
def register() -> frozenset[int]:
    """Make the fonts known to the PDF library; the code points that they can show."""
    for name, file in _FILES.items():
        pdfmetrics.registerFont(TTFont(name, str(_DIRECTORY / file)))
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)
    return frozenset(TTFont(REGULAR, str(_DIRECTORY / _FILES[REGULAR])).face.charToGlyph)


def markup(text: str) -> str:
    """Text as the PDF library's markup: escaped; what the fonts have no glyph for is marked."""
    known = register()
    return escape("".join(c if ord(c) in known else "\ufffd" for c in shown(text)), quote=False)
