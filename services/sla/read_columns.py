"""Result columns of ClickHouse as arrays and texts: what every reading adapter of this service needs."""

import hashlib
from importlib.resources import files
from typing import Any, Protocol

import numpy as np

from services.common.native_columns import Arrays, Maps
from services.common.native_read import ReadColumn
from services.sla.model import Floats, Ints, PointKind, Series

Columns = dict[str, ReadColumn]

NEAR_MS = 600_000
"""How far before a range the bases of its points are read with it; older ones are asked for by series."""
_UNKNOWN_START = 3


def sql(name: str) -> str:
    """A statement of sql/."""
    return (files("services.sla") / "sql" / f"{name}.sql").read_text()


def metric_id(name: str) -> int:
    """As the collector's tables have it: first four bytes, little endian, of blake2b over the name."""
    return int.from_bytes(hashlib.blake2b(name.encode()).digest()[:4], "little")


def ints(column: ReadColumn) -> Ints:
    """Whole numbers. UInt64 ids keep their bits; counts above 2**63 do not exist."""
    assert isinstance(column, np.ndarray)
    return column.view(np.int64) if column.dtype == np.uint64 else column.astype(np.int64)


def floats(column: ReadColumn) -> Floats:
    """Doubles."""
    assert isinstance(column, np.ndarray)
    return column.astype(np.float64)


def texts(column: ReadColumn) -> list[bytes]:
    """Texts."""
    assert isinstance(column, list)
    return column


def arrays(column: ReadColumn) -> tuple[Ints, np.ndarray[Any, Any]]:
    """Where each array starts, and all their values."""
    assert isinstance(column, Arrays)
    assert isinstance(column.values, np.ndarray)
    at = np.concatenate((np.zeros(1, np.int64), column.ends.astype(np.int64)))
    return at, column.values


def maps(column: ReadColumn) -> list[dict[str, str]]:
    """Maps of texts."""
    assert isinstance(column, Maps)
    keys, values, out, begin = column.keys, column.values, [], 0
    assert isinstance(keys, list)
    assert isinstance(values, list)
    for end in column.ends.tolist():
        out.append({k.decode(): v.decode() for k, v in zip(keys[begin:end], values[begin:end], strict=True)})
        begin = end
    return out


def series_of(found: Columns) -> list[Series]:
    """Rows of series.sql."""
    if not found:
        return []
    attributes, resources = maps(found["point_attributes"]), maps(found["sender_attributes"])
    return [
        Series(
            series_id=int(series_id),
            sender_id=int(sender_id),
            kind=PointKind(int(kind)),
            delta=bool(delta),
            unit=unit.decode(),
            attributes=attributes[i],
            resource=resources[i],
        )
        for i, (series_id, sender_id, kind, delta, unit) in enumerate(
            zip(
                ints(found["series_id"]).tolist(),
                ints(found["sender"]).tolist(),
                ints(found["kind"]).tolist(),
                ints(found["delta"]).tolist(),
                texts(found["unit_text"]),
                strict=True,
            )
        )
    ]


class Points(Protocol):
    """What points of every kind have: arrays of int64, an item for each point."""

    @property
    def series(self) -> Ints: ...
    @property
    def start(self) -> Ints: ...
    @property
    def start_ns(self) -> Ints: ...
    @property
    def ts(self) -> Ints: ...
    @property
    def bits(self) -> Ints: ...


def without_base(points: Points, low_ms: int, near_ms: int) -> list[int]:
    """Series of which a point may build on one before the near range.

    A (series, start) whose start is known and lies in the near range has nothing before that start.
    """
    keys = list(zip(points.series.tolist(), points.start.tolist(), points.start_ns.tolist(), strict=True))
    based = {key for key, ts in zip(keys, points.ts.tolist(), strict=True) if ts <= low_ms}
    missing = {
        key[0]
        for key, bits in zip(keys, points.bits.tolist(), strict=True)
        if key not in based and (key[1] < near_ms or bits & _UNKNOWN_START)
    }
    return sorted(series % (1 << 64) for series in missing)
