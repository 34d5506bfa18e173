"""Number points by hand, for tests of what follows from them."""

from collections.abc import Sequence

import numpy as np

from services.sla.model import Ints, Numbers, PointKind, Series
from services.sla.rows_build import NumberPoint, numbers_of
from tests.unit.sla.slicing import T0


def at(seconds: float) -> int:
    """Milliseconds of T0 and seconds."""
    return T0 + round(seconds * 1000)


def gauge(series_id: int, sender_id: int = 7, **attributes: str) -> Series:
    """A probe's series."""
    return Series(series_id, sender_id, PointKind.GAUGE, False, "1", attributes, {"service.name": "prober"})


def counter(series_id: int, sender_id: int = 7, **attributes: str) -> Series:
    """A cumulative counter."""
    return Series(series_id, sender_id, PointKind.SUM, False, "1", attributes, {})


def said(series_id: int, *reports: tuple[float, float]) -> list[NumberPoint]:
    """Reports (seconds, value) of a gauge."""
    return [NumberPoint(series_id, at(seconds), value) for seconds, value in reports]


def counted(
    series_id: int, *reports: tuple[float, int], start: float = 0.0, bits: int = 0
) -> list[NumberPoint]:
    """Reports (seconds, count) of a counter that began at `start`."""
    return [NumberPoint(series_id, at(seconds), count, at(start), bits) for seconds, count in reports]


def numbers(*points: Sequence[NumberPoint]) -> Numbers:
    """All of them."""
    return numbers_of([one for each in points for one in each])


def spans(*pairs: tuple[float, float]) -> Ints:
    """A set of time from seconds."""
    return np.array([(at(a), at(b)) for a, b in pairs], np.int64).reshape(-1, 2)
