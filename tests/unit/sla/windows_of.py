"""Slices and columns for tests of windows."""

import random
from collections.abc import Sequence

from services.sla.columns import columns_of
from services.sla.model import Revision, Slice, SliceColumns

S = 10_000
NS = 10**6
FULL = S * NS


def columns(slices: Sequence[Slice]) -> SliceColumns:
    """As the store gives them."""
    return columns_of([(Revision(one, 1, 0), k) for k, one in enumerate(slices)])


def up(k: int, good: int = 10, total: int = 10, **more: object) -> Slice:
    """Slice k, up and sealed."""
    return Slice(k * S, S, good, total, **{"up_ns": FULL, "sealed": True, **more})


def down(k: int, total: int = 10) -> Slice:
    """Slice k, down."""
    return up(k, 0, total, up_ns=0, down_ns=FULL)


def dark(k: int) -> Slice:
    """Slice k without data."""
    return up(k, 0, 0, up_ns=0, no_data_ns=FULL)


def anything(rng: random.Random, k: int) -> Slice:
    """A slice in which anything may have happened."""
    total = rng.choice((0, 0, 1, 7, rng.randrange(10**9)))
    cut = sorted(rng.randrange(FULL + 1) for _ in range(4))
    names = ("up_ns", "degraded_ns", "down_ns", "excluded_ns", "no_data_ns")
    lengths = [b - a for a, b in zip([0, *cut], [*cut, FULL], strict=True)]
    rng.shuffle(lengths)
    return Slice(
        k * S, S, rng.randint(0, total), total, sealed=True, **dict(zip(names, lengths, strict=True))
    )
