"""Result columns of ClickHouse as arrays and texts: what every reading adapter of this service needs."""

import hashlib
from importlib.resources import files
from typing import Any

import numpy as np

from services.common.native_columns import Arrays, Maps
from services.common.native_read import ReadColumn
from services.sla.model import Floats, Ints, PointKind, Series

Columns = dict[str, ReadColumn]


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
