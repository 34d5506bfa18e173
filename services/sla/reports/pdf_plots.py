"""A scene drawn into a PDF page, to the same shapes as the SVG. Knows nothing of reports."""

from math import ceil

from reportlab.lib.colors import HexColor
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

from services.sla.reports.pdf_fonts import BOLD, REGULAR
from services.sla.reports.scene import Anchor, Box, Label, Line, Pattern, Scene
from services.sla.reports.wording import shown

_SPACING = 4.0


class SceneFlowable(Flowable):
    """A scene as wide as the page's text."""

    def __init__(self, scene: Scene, width: float) -> None:
        super().__init__()
        self._scene = scene
        self._scale = width / scene.width
        self.width = width
        self.height = scene.height * self._scale

    def draw(self) -> None:
        """Onto the page, at the place that the layout chose."""
        canvas: Canvas = self.canv
        canvas.saveState()
        canvas.scale(self._scale, self._scale)
        for shape in self._scene.shapes:
            match shape:
                case Box():
                    self._box(canvas, shape)
                case Line():
                    self._line(canvas, shape)
                case Label():
                    self._label(canvas, shape)
        canvas.restoreState()

    def _up(self, y: float) -> float:
        return round(self._scene.height - y, 2)

    def _box(self, canvas: Canvas, box: Box) -> None:
        x, y = round(box.x, 2), self._up(box.y + box.height)
        width, height = round(box.width, 2), round(box.height, 2)
        canvas.setFillColor(HexColor(box.fill))
        if box.stroke:
            canvas.setStrokeColor(HexColor(box.stroke))
            canvas.setLineWidth(0.8)
        canvas.rect(x, y, width, height, stroke=1 if box.stroke else 0, fill=1)
        if box.pattern is Pattern.PLAIN:
            return
        canvas.saveState()
        clip = canvas.beginPath()
        clip.rect(x, y, width, height)
        canvas.clipPath(clip, stroke=0, fill=0)
        if box.pattern is Pattern.HATCHED:
            canvas.setStrokeColor(HexColor(box.ink))
            canvas.setLineWidth(0.7)
            for n in range(ceil((width + height) / _SPACING)):
                start = x - height + n * _SPACING
                canvas.line(round(start, 2), y, round(start + height, 2), round(y + height, 2))
        else:
            canvas.setFillColor(HexColor(box.ink))
            for column in range(ceil(width / _SPACING)):
                for row in range(ceil(height / _SPACING)):
                    canvas.circle(
                        round(x + (column + 0.5) * _SPACING, 2),
                        round(y + (row + 0.5) * _SPACING, 2),
                        0.8,
                        stroke=0,
                        fill=1,
                    )
        canvas.restoreState()

    def _line(self, canvas: Canvas, line: Line) -> None:
        path = canvas.beginPath()
        (x, y), *rest = line.points
        path.moveTo(round(x, 2), self._up(y))
        for x, y in rest:
            path.lineTo(round(x, 2), self._up(y))
        if line.fill:
            path.close()
            canvas.setFillColor(HexColor(line.fill))
            canvas.drawPath(path, stroke=0, fill=1)
            return
        canvas.setStrokeColor(HexColor(line.stroke))
        canvas.setLineWidth(line.width)
        canvas.setDash([4, 3] if line.dashed else [])
        canvas.drawPath(path, stroke=1, fill=0)
        canvas.setDash([])

    def _label(self, canvas: Canvas, label: Label) -> None:
        canvas.setFillColor(HexColor(label.fill))
        canvas.setFont(BOLD if label.bold else REGULAR, label.size)
        draw = {
            Anchor.START: canvas.drawString,
            Anchor.MIDDLE: canvas.drawCentredString,
            Anchor.END: canvas.drawRightString,
        }[label.anchor]
        draw(round(label.x, 2), self._up(label.y), shown(label.text))
