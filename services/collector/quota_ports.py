"""What quotas need from outside: buckets that all receivers share, and an owner of the series count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from services.collector.model import I64, U64, Bools


@dataclass(frozen=True, slots=True)
class Ask:
    """What one request takes out of one bucket, and how that bucket fills.

    `rate` is tokens a second (> 0), `capacity` the most it holds (> 0), `need` what the request
    costs; `wish` (>= `need`) may be taken at once where there is more, so that not every request asks.
    """

    bucket: str
    rate: int
    capacity: int
    need: int
    wish: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What was taken, in the order of the asks; empty when it was refused for `wait_s` seconds."""

    taken: tuple[int, ...]
    wait_s: float = 0.0


class TokenBuckets(Protocol):
    """Token buckets by key, shared by every receiver of a region; they may be lost at any moment."""

    async def take(self, key: str, asks: Sequence[Ask]) -> Grant:
        """Take from all buckets or from none, in one step for everyone.

        Refused while one of them has less than one token. Else at least `need` is taken from each, which may
        leave a debt, and at most `wish`, which may not. A bucket never seen is full.

        Raises:
            Unavailable: QUOTA_STORE_UNAVAILABLE.
        """
        ...


class SeriesCensus(Protocol):
    """The one that counts a tenant's active series, whatever the number of receivers."""

    async def admit(self, tenant: str, series: U64, *, limit: int) -> Bools:
        """Which of these series (ids) are beyond the limit; the others are active now.

        Active ones never are; new ones are taken in their order as long as there is room. Limit 0 is
        no limit.

        Raises:
            Unavailable: the owner does not answer.
        """
        ...

    async def active(self, tenant: str) -> int | None:
        """Active series of a tenant; None while it is still finding out what was there before."""
        ...


@dataclass(frozen=True, slots=True)
class KnownSeries:
    """Series of one tenant that were active: ids, and the hour of each (whole hours since 1970)."""

    series: U64
    hours: I64

    @classmethod
    def of(cls, hours: dict[int, int]) -> "KnownSeries":
        """From hours by id."""
        return cls(
            np.fromiter(hours.keys(), np.uint64, len(hours)),
            np.fromiter(hours.values(), np.int64, len(hours)),
        )


class SeriesHistory(Protocol):
    """Series that the store was told of."""

    async def known_series(self, *, first_day: int, since_s: int) -> dict[str, KnownSeries]:
        """Series by tenant with a row of a day >= `first_day`, last seen at `since_s` or later.

        Days since 1970-01-01, seconds since then.

        Raises:
            Unavailable: the store does not answer.
        """
        ...
