"""Names that a tenant chooses cannot leave their place in any format."""

import csv
import dataclasses
import io
from html.parser import HTMLParser

import pypdf
import pytest

from services.sla.reports.canonical import canonical_json, parse
from services.sla.reports.csv import read_csv, render_csv, rows_of
from services.sla.reports.html import render_html
from services.sla.reports.pdf import render_pdf
from tests.unit.sla.reports.examples import HOSTILE, hostile_month, rich_month

ELEMENTS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "section",
        "footer",
        "div",
        "p",
        "br",
    ),
    *(
        "h1",
        "h2",
        "h3",
        "span",
        "a",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "table",
        "caption",
        "thead",
        "tbody",
    ),
    *("tr", "th", "td", "figure", "i", "details", "summary"),
    *("svg", "desc", "defs", "pattern", "rect", "circle", "polyline", "polygon", "text"),
}


def named(tenant):
    """A report under another tenant's name."""
    return dataclasses.replace(rich_month(), tenant=tenant)


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def content():
    return canonical_json(hostile_month())


def test_html_has_no_elements_but_its_own(content):
    found = Elements(render_html(content)).found

    assert {tag for tag, _ in found} <= ELEMENTS
    assert [tag for tag, _ in found] == [tag for tag, _ in found if tag != "script"]
    assert not [name for _, attrs in found for name in attrs if name.startswith("on")]


def test_html_fetches_nothing_and_forbids_it():
    found = Elements(render_html(canonical_json(rich_month()))).found

    links = [attrs["href"] for _, attrs in found if "href" in attrs]
    assert links
    assert all(link.startswith("#objective-") for link in links)
    assert not [attrs for _, attrs in found if "src" in attrs or "srcset" in attrs or "action" in attrs]
    policy = next(a["content"] for _, a in found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_html_says_the_name_as_text_without_what_turns_text_around(content):
    page = render_html(content).decode()

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{7*7}}" in page
    assert "49" not in page.split("<title>")[1].split("</title>")[0]
    assert "\u202e" not in page
    assert "\x00" not in page


def test_ids_in_html_are_unique():
    ids = [
        attrs["id"] for _, attrs in Elements(render_html(canonical_json(rich_month()))).found if "id" in attrs
    ]

    assert len(ids) == len(set(ids))


def test_every_picture_has_a_text(content):
    page = render_html(content).decode()

    assert page.count("<svg") == page.count('role="img" aria-labelledby="') == page.count("<desc ") > 2


def test_pdf_says_the_name_as_text(content):
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(render_pdf(content))).pages)

    assert "<script>alert(1)</script>" in text
    assert "\u202e" not in text


def test_pdf_marks_what_its_fonts_cannot_show(content):
    pdf = render_pdf(canonical_json(named("株式会社")))

    assert "\ufffd" in pypdf.PdfReader(io.BytesIO(pdf)).pages[0].extract_text()


def test_csv_guards_formulas_and_reads_back(content):
    data = render_csv(content)

    lines = data.decode().split("\r\n")
    assert lines[0] == "section,objective,item,field,value"
    assert read_csv(data) == rows_of(parse(content))


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1+1", "@sum", "\tx", "\rx", "'=1", "-", "a\r\nb", 'a"b,c'])
def test_csv_cells_that_look_like_formulas_begin_with_an_apostrophe(name):
    content = canonical_json(named(name))
    data = render_csv(content)

    assert read_csv(data) == rows_of(parse(content))
    (cell,) = [row[4] for row in csv.reader(io.StringIO(data.decode(), newline="")) if row[0] == "tenant"]
    assert cell == (f"'{name}" if name[0] in "=+-@\t\r'" else name)


def test_negative_numbers_in_csv_stay_numbers():
    lines = render_csv(canonical_json(rich_month())).decode().split("\r\n")

    left = next(one for one in lines if one.startswith("objectives,requests,budget,remaining_ns"))
    assert left.rpartition(",")[2].startswith("-")


def test_the_name_is_whole_in_the_canonical_content(content):
    assert parse(content)["tenant"] == HOSTILE
