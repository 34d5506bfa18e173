"""The keys of series by a hash of tenant and identity, in arrays: some hundred bytes of a series, no objects.

Threads look up while another adds, as `kernels/series_table.py` allows; adding takes the caller's lock.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from services.collector.identity import SeriesKey
from services.collector.kernels.series_table import MISSING, find_series, insert_series
from services.collector.model import I64, U64

_PARTS = len(SeriesKey._fields)
_HASH_BYTES = 16


def identity_hashes(tenant: str, identities: Sequence[bytes]) -> U64:
    """128 bits of BLAKE2b over tenant and identity, shape (identities, 2)."""
    if not identities:
        return np.zeros((0, 2), np.uint64)
    begun = hashlib.blake2b(tenant.encode() + b"\0", digest_size=_HASH_BYTES)
    digests = []
    for identity in identities:
        one = begun.copy()
        one.update(identity)
        digests.append(one.digest())
    # A copy, since kernels are compiled for arrays that may be written.
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2).copy()


class DecidedKeys:
    """Up to `limit` keys; they are added, never changed."""

    def __init__(self, limit: int) -> None:
        slots = 1 << (2 * limit - 1).bit_length()
        self._hashes: U64 = np.zeros((slots, 2), np.uint64)
        self._places: I64 = np.full(slots, MISSING, np.int64)
        self._keys: U64 = np.zeros((limit, _PARTS), np.uint64)
        self.used = 0

    def find(self, hashes: U64) -> list[SeriesKey | None]:
        """The key of each hash, or None."""
        keys: list[SeriesKey | None] = [None] * len(hashes)
        if not self.used:
            return keys
        places = self._places_of(hashes)
        known = np.flatnonzero(places != MISSING)
        for place, key in zip(known.tolist(), self._keys[places[known]].tolist(), strict=True):
            keys[place] = SeriesKey(*key)
        return keys

    def add(self, hashes: U64, keys: Sequence[SeriesKey]) -> None:
        """Add those that are not there, of different series and no more than there is room for."""
        new = np.flatnonzero(self._places_of(hashes) == MISSING)
        if not len(new):
            return
        places = np.arange(self.used, self.used + len(new))
        self._keys[places] = np.array([keys[place] for place in new.tolist()], np.uint64)
        a, b = np.ascontiguousarray(hashes[new, 0]), np.ascontiguousarray(hashes[new, 1])
        insert_series(a, b, places, self._hashes, self._places)
        self.used += len(new)

    def _places_of(self, hashes: U64) -> I64:
        found = np.empty(len(hashes), np.int64)
        a, b = np.ascontiguousarray(hashes[:, 0]), np.ascontiguousarray(hashes[:, 1])
        find_series(a, b, self._hashes, self._places, found)
        return found
