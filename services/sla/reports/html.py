"""A report as one HTML file: styles and pictures inline, no scripts, nothing fetched, fit for printing."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from services.sla.reports.compose import document_of
from services.sla.reports.document import Block
from services.sla.reports.plots_svg import svg_text, swatch
from services.sla.reports.scene import Scene
from services.sla.reports.wording import shown

_TEMPLATES = Path(__file__).parent / "templates"


def render_html(content: bytes) -> bytes:
    """The file's bytes, from canonical bytes alone: the same for the same content.

    Raises:
        ValueError: it is not the content of a report.
    """
    template = _environment().get_template("report.html.j2")
    return template.render(document=document_of(content)).encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_clean,
    )
    environment.globals["svg"] = _svg
    environment.globals["swatch"] = swatch
    environment.filters["kind"] = _kind
    return environment


def _clean(value: object) -> object:
    return shown(value) if type(value) is str else value


def _svg(scene: Scene, prefix: str) -> Markup:
    # Its text is escaped where it is made.
    return Markup(svg_text(scene, prefix))  # noqa: S704


def _kind(block: Block) -> str:
    return type(block).__name__
