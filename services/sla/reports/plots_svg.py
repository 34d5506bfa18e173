"""A scene as inline SVG: no scripts, no style sheet of its own, no reference out of the document.

Ids are made from the `prefix` of the picture, so several stand in one page. Text is escaped here.
"""

from collections.abc import Iterator
from html import escape

from services.sla.reports.scene import Box, Label, Line, Pattern, Scene
from services.sla.reports.wording import shown


def svg_text(scene: Scene, prefix: str) -> str:
    """The SVG element. `prefix` is unique in the page; letters, digits and hyphens."""
    return "".join(_parts(scene, prefix))


def _parts(scene: Scene, prefix: str) -> Iterator[str]:
    yield (
        '<svg xmlns="http://www.w3.org/2000/svg"'
        f' viewBox="0 0 {_number(scene.width)} {_number(scene.height)}"'
        f' role="img" aria-labelledby="{prefix}-t {prefix}-d">'
        f'<title id="{prefix}-t">{_text(scene.title)}</title>'
        f'<desc id="{prefix}-d">{_text(scene.description)}</desc>'
    )
    patterns: dict[tuple[Pattern, str], str] = {
        (shape.pattern, shape.ink): f"{prefix}-{shape.pattern}-{shape.ink[1:]}"
        for shape in scene.shapes
        if isinstance(shape, Box) and shape.pattern is not Pattern.PLAIN
    }
    if patterns:
        yield "<defs>" + "".join(_pattern(name, *key) for key, name in patterns.items()) + "</defs>"
    for shape in scene.shapes:
        match shape:
            case Box():
                yield from _box(shape, patterns.get((shape.pattern, shape.ink), ""))
            case Line():
                yield _line(shape)
            case Label():
                yield _label(shape)
    yield "</svg>"


def swatch(colour: str, pattern: str) -> str:
    """A legend's sample: a style attribute's value."""
    ink = "rgba(60,60,90,.55)"
    if pattern == Pattern.HATCHED:
        return f"background:repeating-linear-gradient(135deg,{ink} 0 1px,{colour} 1px 4px)"
    if pattern == Pattern.DOTTED:
        return f"background:radial-gradient({ink} 1px,transparent 1.2px) 0 0/4px 4px,{colour}"
    return f"background:{colour}"


def _box(box: Box, pattern: str) -> Iterator[str]:
    place = (
        f'x="{_number(box.x)}" y="{_number(box.y)}"'
        f' width="{_number(box.width)}" height="{_number(box.height)}"'
    )
    stroke = f' stroke="{box.stroke}" stroke-width="0.8"' if box.stroke else ""
    inside = f"<title>{_text(box.note)}</title>" if box.note else ""
    yield f'<rect {place} fill="{box.fill}"{stroke}>{inside}</rect>'
    if pattern:
        yield f'<rect {place} fill="url(#{pattern})">{inside}</rect>'


def _line(line: Line) -> str:
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in line.points)
    if line.fill:
        return f'<polygon points="{points}" fill="{line.fill}"/>'
    dashes = ' stroke-dasharray="4 3"' if line.dashed else ""
    return (
        f'<polyline points="{points}" fill="none" stroke="{line.stroke}"'
        f' stroke-width="{_number(line.width)}"{dashes}/>'
    )


def _label(label: Label) -> str:
    weight = ' font-weight="600"' if label.bold else ""
    return (
        f'<text x="{_number(label.x)}" y="{_number(label.y)}" font-size="{_number(label.size)}"'
        f' text-anchor="{label.anchor}" fill="{label.fill}"{weight}>{_text(label.text)}</text>'
    )


def _pattern(name: str, pattern: Pattern, ink: str) -> str:
    head = f'<pattern id="{name}" width="5" height="5" patternUnits="userSpaceOnUse"'
    if pattern is Pattern.DOTTED:
        return f'{head}><circle cx="2.5" cy="2.5" r="0.9" fill="{ink}"/></pattern>'
    return f'{head} patternTransform="rotate(45)"><rect width="1.1" height="5" fill="{ink}"/></pattern>'


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _text(text: str) -> str:
    return escape(shown(text))
