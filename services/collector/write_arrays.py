"""Taking and joining rows of columns, whatever their shape. Pure."""

from collections.abc import Sequence

import numpy as np

from services.collector.columns import OptionalFloats, RaggedCounts, RaggedFloats
from services.collector.model import I64
from services.common.native_columns import Arrays, Nullable, NumpyArray

RowColumn = NumpyArray | Arrays | Nullable | tuple[bytes, ...]


def from_decoded(column: OptionalFloats | RaggedFloats | RaggedCounts) -> Arrays | Nullable:
    """A decoded column as the store's client takes it."""
    if isinstance(column, OptionalFloats):
        return Nullable(column.values, ~column.present)
    return Arrays(column.values, column.ends)


def length(column: RowColumn) -> int:
    """Rows of a column."""
    if isinstance(column, Nullable):
        return len(column.values)
    return len(column.ends) if isinstance(column, Arrays) else len(column)


def take(column: RowColumn, rows: I64) -> RowColumn:
    """The given rows, in that order."""
    if isinstance(column, np.ndarray):
        return column[rows]
    if isinstance(column, Nullable):
        return Nullable(column.values[rows], column.nulls[rows])
    if isinstance(column, Arrays):
        return _take_arrays(column, rows)
    return tuple(column[row] for row in rows.tolist())


def constant(value: np.generic, rows: int) -> NumpyArray:
    """The same number in each row, in the memory of one."""
    return np.broadcast_to(value, rows)


class Gathered:
    """One column of several requests: joined when rows are taken, and not at all where all hold one number.

    That is most columns: values of the type that a batch does not have, their kind, their flags.
    """

    def __init__(self, parts: Sequence[RowColumn]) -> None:
        self._parts = parts
        self._whole: RowColumn | None = None

    def take(self, rows: I64) -> RowColumn:
        """The given rows of all parts, one after the other."""
        if self._whole is None:
            one = _one_number(self._parts)
            self._whole = join(self._parts) if one is None else one[:1]
        if isinstance(self._whole, np.ndarray) and len(self._whole) == 1:
            return constant(self._whole[0], len(rows))
        return take(self._whole, rows)


def _one_number(parts: Sequence[RowColumn]) -> NumpyArray | None:
    """The first part when every bit is the same in all elements of all parts (no two zeros, no two NaNs)."""
    first: NumpyArray | None = None
    for part in parts:
        if not isinstance(part, np.ndarray):
            return None
        bits = part.view(f"u{part.dtype.itemsize}")
        first = part if first is None else first
        one = first.view(bits.dtype)[0]
        if not (bits == one).all():
            return None
    return first


def join(columns: Sequence[RowColumn]) -> RowColumn:
    """All rows of several columns of one shape, one after the other."""
    first = columns[0]
    if len(columns) == 1:
        return first
    if isinstance(first, np.ndarray):
        return np.concatenate([column for column in columns if isinstance(column, np.ndarray)])
    if isinstance(first, Nullable):
        parts = [column for column in columns if isinstance(column, Nullable)]
        return Nullable(
            np.concatenate([part.values for part in parts]), np.concatenate([part.nulls for part in parts])
        )
    if isinstance(first, Arrays):
        return _join_arrays([column for column in columns if isinstance(column, Arrays)])
    return tuple(value for column in columns if isinstance(column, tuple) for value in column)


def _take_arrays(column: Arrays, rows: I64) -> Arrays:
    values = column.values
    assert isinstance(values, np.ndarray)
    ends = column.ends.astype(np.int64)
    starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1])) if len(ends) else ends
    lengths = (ends - starts)[rows]
    new_ends = np.cumsum(lengths, dtype=np.int64)
    # Position of each value: where its row starts in the source, plus its place within the row.
    within = np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(new_ends - lengths, lengths)
    return Arrays(values[np.repeat(starts[rows], lengths) + within], new_ends)


def _join_arrays(parts: Sequence[Arrays]) -> Arrays:
    values, ends, base = [], [], 0
    for part in parts:
        assert isinstance(part.values, np.ndarray)
        values.append(part.values)
        ends.append(part.ends.astype(np.int64) + base)
        base += len(part.values)
    return Arrays(np.concatenate(values), np.concatenate(ends))
