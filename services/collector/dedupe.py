"""Requests that the log holds more than once are stored once.

A request id that occurred before within 20 minutes of log time is a resend. The rule looks at
every earlier occurrence, stored or skipped, so it is a function of the last 20 minutes of the log
alone: a writer that starts reads them back and decides as the one before it.
"""

from collections import OrderedDict
from collections.abc import Iterable

from services.collector.model import NANOSECONDS_IN_S

DEDUPE_WINDOW_NS = 20 * 60 * NANOSECONDS_IN_S

Sighting = tuple[bytes, int]
"""A request id and the log time at which it occurred, Unix nanoseconds."""


class DedupeWindow:
    """Request ids of the last 20 minutes of log time, up to the last completed batch."""

    def __init__(self, window_ns: int = DEDUPE_WINDOW_NS) -> None:
        self._window_ns = window_ns
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def look(self) -> "DedupeLook":
        """A view to judge one batch with; it changes nothing until `commit`."""
        return DedupeLook(self._seen, self._window_ns)

    def commit(self, sightings: Iterable[Sighting]) -> None:
        """Remember what a completed batch saw, in log order, and forget what is too old."""
        newest = 0
        for identifier, time_ns in sightings:
            self._seen[identifier] = time_ns
            self._seen.move_to_end(identifier)
            newest = time_ns
        while self._seen and newest - next(iter(self._seen.values())) > self._window_ns:
            self._seen.popitem(last=False)

    def __len__(self) -> int:
        return len(self._seen)


class DedupeLook:
    """The window as one batch sees it, its own requests included."""

    def __init__(self, seen: "OrderedDict[bytes, int]", window_ns: int) -> None:
        self._before = seen
        self._window_ns = window_ns
        self._here: dict[bytes, int] = {}
        self.sightings: list[Sighting] = []

    def resent(self, identifier: bytes, time_ns: int) -> bool:
        """Whether the request at this log time is a resend; it is remembered either way."""
        earlier = self._here.get(identifier)
        if earlier is None:
            earlier = self._before.get(identifier)
        self._here[identifier] = time_ns
        self.sightings.append((identifier, time_ns))
        return earlier is not None and time_ns - earlier <= self._window_ns
