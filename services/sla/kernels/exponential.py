"""Exponential buckets: which bucket holds a value, bucket bounds, coarser scales, differences, sums.

Bucket i at `scale` covers (base**i, base**(i+1)] with base = 2**(2**-scale); element j of a counts array
is bucket offset+j. Halving the resolution k times maps index i to i >> k exactly ("perfect subsetting").
Source: https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram.
Many histograms come as one flat counts array; `at[i]:at[i+1]` are those of row i.
"""

import math

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel
from services.sla.kernels.edges import before, pieces
from services.sla.kernels.edges import grid as grid_edges
from services.sla.kernels.increase import NOTHING
from services.sla.kernels.spread import share

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_NO_SCALE = 1 << 30
_MAX_SHIFT = 62
_LARGEST_EXPONENT = 1023
_MAX_EXPONENT = 1100
"""Beyond the range of doubles on both sides."""


@kernel
def down(index: int, k: int) -> int:
    """The index of the same values at a scale lower by k; a shift that keeps the sign."""
    return index >> min(k, _MAX_SHIFT)


@kernel
def index_of(value: float, scale: int) -> int:
    """Bucket of a value > 0: ceil(log_base(value)) - 1, exact at every power of two.

    The logarithm alone puts powers of two into the wrong bucket now and then, so the exponent comes from
    frexp and only the mantissa goes through the logarithm; its result is kept inside that octave.
    """
    mantissa, exponent = math.frexp(value)
    if scale <= 0:
        whole = exponent - 2 if mantissa == 0.5 else exponent - 1
        return down(whole, -scale)
    low = (exponent - 1) << scale
    if mantissa == 0.5:
        return low - 1
    inside = math.floor(math.log2(2.0 * mantissa) * (1 << scale))
    return low + min(max(inside, 0), (1 << scale) - 1)


@kernel
def _power(mantissa: float, exponent: int) -> float:
    """mantissa * 2**exponent for a mantissa in [1, 2); infinity and 0 outside of the doubles."""
    if exponent > _LARGEST_EXPONENT:
        return math.inf
    return math.ldexp(mantissa, int(max(-_MAX_EXPONENT, exponent)))


@kernel
def lower_bound(index: int, scale: int) -> float:
    """base**index; exact at powers of two, 0 below and infinity above the range of doubles."""
    if scale <= 0:
        exponent = index
        for _ in range(min(-scale, 12)):
            exponent = max(-_MAX_EXPONENT, min(_MAX_EXPONENT, exponent * 2))
        return _power(1.0, exponent)
    octave = index >> scale
    inside = index - (octave << scale)
    return _power(2.0 ** (inside / (1 << scale)), octave)


@kernel
def buckets_fell(group: Ints, scale: Ints, offset: Ints, at: Ints, counts: Ints, out: Bools) -> None:
    """Set out[i] where any bucket of row i is below that of row i-1 of its group, at their common scale.

    A bucket of the older row that the newer one does not have counts as a fall to 0.
    """
    for i in range(1, len(scale)):
        if group[i] != group[i - 1] or out[i]:
            continue
        common = min(scale[i], scale[i - 1])
        old_shift = scale[i - 1] - common
        new_shift = scale[i] - common
        j = at[i]
        for m in range(at[i - 1], at[i]):
            if counts[m] == 0:
                continue
            target = down(offset[i - 1] + m - at[i - 1], old_shift)
            old = counts[m]
            # Buckets of the old row that share the coarser bucket are added up behind this one.
            n = m + 1
            while n < at[i] and down(offset[i - 1] + n - at[i - 1], old_shift) == target:
                old += counts[n]
                n += 1
            new = 0
            j = at[i]
            while j < at[i + 1] and down(offset[i] + j - at[i], new_shift) < target:
                j += 1
            while j < at[i + 1] and down(offset[i] + j - at[i], new_shift) == target:
                new += counts[j]
                j += 1
            if new < old:
                out[i] = True
                break


@kernel
def increment_shapes(
    scale: Ints, offset: Ints, at: Ints, prev: Ints, out_scale: Ints, out_offset: Ints, out_at: Ints
) -> None:
    """Scale, offset and place of each row's increment, before `increments` fills them in.

    The increment has the lower scale of the two points and the buckets of the newer one.
    """
    out_at[0] = 0
    for i in range(len(scale)):
        base = prev[i]
        length = at[i + 1] - at[i]
        common = scale[i]
        if base >= 0 and at[base + 1] > at[base]:
            common = min(common, scale[base])
        shift = scale[i] - common
        out_scale[i] = common
        out_offset[i] = down(offset[i], shift)
        if base == NOTHING or length == 0:
            out_at[i + 1] = out_at[i]
        else:
            out_at[i + 1] = out_at[i] + down(offset[i] + length - 1, shift) - out_offset[i] + 1


@kernel
def increments(
    scale: Ints, offset: Ints, at: Ints, counts: Ints, prev: Ints, shape: Ints, out_at: Ints, out: Ints
) -> None:
    """Fill `out` (zeroed, of out_at[-1] elements) with value[i] - value[prev[i]] per bucket.

    `shape` is (2, rows): out_scale and out_offset of `increment_shapes`. Where `buckets_fell` was asked
    first, nothing is negative.
    """
    for i in range(len(scale)):
        if out_at[i + 1] == out_at[i]:
            continue
        shift = scale[i] - shape[0, i]
        for m in range(at[i], at[i + 1]):
            out[out_at[i] + down(offset[i] + m - at[i], shift) - shape[1, i]] += counts[m]
        base = prev[i]
        if base < 0:
            continue
        shift = scale[base] - shape[0, i]
        for m in range(at[base], at[base + 1]):
            if counts[m] != 0:
                out[out_at[i] + down(offset[base] + m - at[base], shift) - shape[1, i]] -= counts[m]


@kernel
def fit(low: int, high: int, widest: int) -> int:
    """How often the range low..high of indexes must be halved until it has at most `widest` buckets."""
    k = 0
    while down(high, k) - down(low, k) + 1 > widest:
        k += 1
    return k


@kernel
def slice_shapes(
    start: Ints, end: Ints, shape: Ints, at: Ints, counts: Ints, grid: Ints, widest: int, out: Ints
) -> None:
    """`piece_shapes` for slices of one width; `grid` is (origin, width) in ms."""
    edges = grid_edges(grid[0], grid[1], out.shape[1])
    piece_shapes(start, end, shape, at, counts, edges, widest, out)


@kernel
def slice_counts(
    start: Ints, end: Ints, shape: Ints, at: Ints, counts: Ints, grid: Ints, slices: Ints, out: Ints
) -> None:
    """`piece_counts` for slices of one width; `slices` comes from `slice_shapes`."""
    edges = grid_edges(grid[0], grid[1], slices.shape[1])
    piece_counts(start, end, shape, at, counts, edges, slices, out)


@kernel
def _outermost(s: int, e: int, low: int, high: int, counts: Ints, a: int, b: int, step: int) -> int:
    """The first of the buckets low to high-1 (the last for a step of -1) with a share in (a, b], or -1."""
    m = low if step > 0 else high - 1
    while low <= m < high:
        if counts[m] != 0 and share(counts[m], s, e, a, b) != 0:
            return m
        m += step
    return -1


@kernel
def piece_shapes(
    start: Ints, end: Ints, shape: Ints, at: Ints, counts: Ints, edges: Ints, widest: int, out: Ints
) -> None:
    """Scale, offset and length of the distribution of each piece (edges[k], edges[k+1]]; out is (3, pieces).

    Rows are intervals (start, end] with bucket increments as `increments` gives them. Only buckets that
    have a share in a piece decide about it, so the result depends on nothing but what is in the piece.
    Scale = the lowest of those, lowered until `widest` buckets hold it.
    """
    total = out.shape[1]
    high = np.zeros(total, np.int64)
    out[0, :] = _NO_SCALE
    out[1, :] = 0
    out[2, :] = 0
    for i in range(len(start)):
        first, last = pieces(start[i], end[i], edges)
        for k in range(first, last + 1):
            if _outermost(start[i], end[i], at[i], at[i + 1], counts, edges[k], edges[k + 1], 1) >= 0:
                out[0, k] = min(out[0, k], shape[0, i])
    for i in range(len(start)):
        first, last = pieces(start[i], end[i], edges)
        for k in range(first, last + 1):
            m = _outermost(start[i], end[i], at[i], at[i + 1], counts, edges[k], edges[k + 1], 1)
            if m < 0:
                continue
            n = _outermost(start[i], end[i], at[i], at[i + 1], counts, edges[k], edges[k + 1], -1)
            low = down(shape[1, i] + m - at[i], shape[0, i] - out[0, k])
            top = down(shape[1, i] + n - at[i], shape[0, i] - out[0, k])
            out[1, k] = low if out[2, k] == 0 else min(out[1, k], low)
            high[k] = top if out[2, k] == 0 else max(high[k], top)
            out[2, k] = 1
    for k in range(total):
        if out[2, k] == 0:
            out[0, k] = 0
            continue
        shift = fit(out[1, k], high[k], widest)
        out[0, k] -= shift
        out[1, k] = down(out[1, k], shift)
        out[2, k] = down(high[k], shift) - out[1, k] + 1


@kernel
def piece_counts(
    start: Ints, end: Ints, shape: Ints, at: Ints, counts: Ints, edges: Ints, shapes: Ints, out: Ints
) -> None:
    """Fill `out` (zeroed) with the buckets of every piece; `shapes` comes from `piece_shapes`.

    The buckets of piece k are the shapes[2, k] elements behind those of the pieces before it.
    """
    total = shapes.shape[1]
    place = np.zeros(total + 1, np.int64)
    for k in range(total):
        place[k + 1] = place[k] + shapes[2, k]
    for i in range(len(start)):
        first, last = pieces(start[i], end[i], edges)
        for m in range(at[i], at[i + 1] if first <= last else at[i]):
            if counts[m] == 0:
                continue
            done = before(counts[m], start[i], end[i], edges[first])
            for k in range(first, last + 1):
                until = before(counts[m], start[i], end[i], edges[k + 1])
                if until != done:
                    index = down(shape[1, i] + m - at[i], shape[0, i] - shapes[0, k])
                    out[place[k] + index - shapes[1, k]] += until - done
                done = until


@kernel
def merge_shape(scale: Ints, offset: Ints, at: Ints, counts: Ints, widest: int) -> tuple[int, int, int]:
    """(scale, offset, length) of the sum of all rows; length 0 when all are empty.

    The result does not depend on the order or on how the rows were merged before.
    """
    common = _NO_SCALE
    for i in range(len(scale)):
        for m in range(at[i], at[i + 1]):
            if counts[m] != 0:
                common = min(common, scale[i])
                break
    if common == _NO_SCALE:
        return 0, 0, 0
    found = False
    low = 0
    high = 0
    for i in range(len(scale)):
        first = at[i]
        last = at[i + 1] - 1
        while first <= last and counts[first] == 0:
            first += 1
        while last >= first and counts[last] == 0:
            last -= 1
        if first > last:
            continue
        a = down(offset[i] + first - at[i], scale[i] - common)
        b = down(offset[i] + last - at[i], scale[i] - common)
        low = min(low, a) if found else a
        high = max(high, b) if found else b
        found = True
    shift = fit(low, high, widest)
    return common - shift, down(low, shift), down(high, shift) - down(low, shift) + 1


@kernel
def merge(
    scale: Ints, offset: Ints, at: Ints, counts: Ints, out_scale: int, out_offset: int, out: Ints
) -> None:
    """Add all rows into `out` (zeroed), whose shape `merge_shape` gave.

    Empty buckets at the ends may lie outside of that shape; inside it adding 0 costs less than asking.
    """
    for i in range(len(scale)):
        first = at[i]
        last = at[i + 1] - 1
        while first <= last and counts[first] == 0:
            first += 1
        while last >= first and counts[last] == 0:
            last -= 1
        shift = min(scale[i] - out_scale, _MAX_SHIFT)
        base = offset[i] - at[i]
        for m in range(first, last + 1):
            out[((base + m) >> shift) - out_offset] += counts[m]
