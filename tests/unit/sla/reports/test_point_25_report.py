"""Point 25: what a report carries in every format, and that the same content gives the same bytes."""

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from html.parser import HTMLParser

import pypdf
import pytest

from services.sla.reports.canonical import canonical_json, content_sha256
from services.sla.reports.csv import read_csv, render_csv, rows_of
from services.sla.reports.html import render_html
from services.sla.reports.pdf import render_pdf
from tests.unit.sla.reports.examples import EXAMPLES, rich_month, running_month

CARRIED = {
    "window in local time": ["2026-10-01 00:00:00+02:00", "2026-11-01 00:00:00+01:00", "Europe/Berlin"],
    "window in UTC": ["2026-09-30 22:00:00 UTC", "2026-10-31 23:00:00 UTC"],
    "contract version": ["gold, version 3, 4", "99.5 % of requests", "99.9 % of requests"],
    "method": ["Good requests of all requests, counted from http.server.request.duration."],
    "reading of p95": ["never a mean of quantiles"],
    "coverage": ["96.769 %"],
    "exclusions with reasons": ["Database upgrade", "Major version of the database", "ops@example.com"],
    "refused exclusions": ["the contract asks for 72 h"],
    "down intervals": ["2026-10-12 14:00 +02:00", "2026-10-12 14:47:30 +02:00", "47 min 30 s"],
    "incidents": ["INC-311", "Exports stuck", "worst case 2 h"],
    "budget in minutes": ["\u22124.920 min of 44.580 min"],
    "budget in percent, signed": ["\u221218.1 %"],
    "verdicts of every policy": ["left out", "counted as down", "counted as up"],
    "credits": ["1250.00 EUR", "Below 99.9 %: 10 % of 12500.00 EUR."],
    "replaced revision": ["replaces revision 1", "late data from two senders", "/objectives/requests/good"],
    "watermark": ["2026-10-31 23:00:30 UTC", "184223"],
}


def words(html: bytes) -> str:
    """The text of a page as a reader sees it, without style sheets."""

    class Reader(HTMLParser):
        def __init__(self):
            super().__init__()
            self.found, self.style = [], False

        def handle_starttag(self, tag, attrs):
            self.style = tag == "style"

        def handle_endtag(self, tag):
            self.style = False

        def handle_data(self, data):
            if not self.style:
                self.found.append(data)

    reader = Reader()
    reader.feed(html.decode())
    return squeezed("".join(reader.found))


def pdf_words(pdf: bytes) -> str:
    """The text of all pages."""
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return squeezed("".join(page.extract_text() for page in pages))


def squeezed(text: str) -> str:
    """Without white space: lines break differently in every format."""
    return "".join(text.split())


@pytest.fixture(scope="module")
def content():
    return canonical_json(rich_month())


@pytest.fixture(scope="module")
def page(content):
    return words(render_html(content))


@pytest.fixture(scope="module")
def paper(content):
    return pdf_words(render_pdf(content))


@pytest.mark.parametrize("what", sorted(CARRIED))
def test_html_and_pdf_carry(what, page, paper):
    for text in CARRIED[what]:
        assert squeezed(text) in page
        assert squeezed(text) in paper


def test_every_file_names_the_hash_of_the_content(content, page, paper):
    sha256 = content_sha256(content)

    assert sha256 in page
    assert sha256 in paper


def test_json_carries_the_same(content):
    value = json.loads(content)
    one = value["objectives"][0]

    assert value["period"]["local_start"] == "2026-10-01T00:00:00+02:00"
    assert [row["version"] for row in value["versions"]] == ["3", "4"]
    assert one["method"]
    assert one["coverage"]["decimal"].startswith("0.9676")
    assert [row["counted"] for row in one["exclusions"]] == [True, False]
    assert one["budget"]["remaining_ns"].startswith("-")
    assert [row["verdict"] for row in one["policies"]] == ["FAIL", "FAIL", "FAIL"]
    assert value["credits"][0]["trace"][-1] == "Due: 1250.00 EUR, 10 % of the fee."
    assert value["provenance"]["watermark_time"] == "2026-10-31T23:00:30.000Z"


def test_a_running_period_says_so_far_projected_and_worst():
    content = canonical_json(running_month())

    for text in (words(render_html(content)), pdf_words(render_pdf(content))):
        for told in ("The period is not over", "So far", "99.731 %", "Projected", "99.895 %", "Worst case"):
            assert squeezed(told) in text
        assert squeezed("1250.00 EUR projected") in text
        # It cannot be met any more, so it is not missed "so far".
        assert squeezed("Missed so far") not in text
        assert squeezed("Met so far") in text


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("render", [render_csv, render_html, render_pdf])
def test_the_same_content_gives_the_same_bytes(name, render):
    content = canonical_json(EXAMPLES[name]())

    assert render(content) == render(bytes(bytearray(content)))


def test_another_process_and_many_at_once_give_the_same_bytes(content):
    script = (
        "import sys; from hashlib import sha256; from services.sla.reports.html import render_html;"
        "from services.sla.reports.pdf import render_pdf; content = sys.stdin.buffer.read();"
        "print(sha256(render_html(content)).hexdigest(), sha256(render_pdf(content)).hexdigest())"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        input=content,
        capture_output=True,
        check=True,
        env={
            **os.environ,
            "PYTHONHASHSEED": "7",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TZ": "Asia/Tokyo",
        },
    ).stdout.split()

    with ThreadPoolExecutor(3) as pool:
        pdfs = list(pool.map(render_pdf, [content, canonical_json(running_month()), content]))
    assert pdfs[0] == pdfs[2] != pdfs[1]
    assert [sha256(one).hexdigest().encode() for one in (render_html(content), pdfs[0])] == told


def test_pdf_has_an_outline(content):
    outline = pypdf.PdfReader(io.BytesIO(render_pdf(content))).outline

    titles = [entry["/Title"] for entry in outline]
    assert titles[:2] == ["requests", "p95"]
    assert titles[-1] == "Origin and method"


def test_csv_read_back_equals_the_json(content):
    assert read_csv(render_csv(content)) == rows_of(json.loads(content))


@pytest.mark.parametrize("render", [render_csv, render_html, render_pdf])
def test_other_content_is_refused(render):
    with pytest.raises(ValueError, match="not a report"):
        render(b"{}")
