"""What workers counted becomes part of what their collector counts, each point once.

A worker tells the totals since its start, of what changed since the last report that arrived; the owner
adds the difference to its own. So a report that is lost, repeated or late changes nothing, the sums never
go down, and a worker that dies takes at most the counts since its last report along. Knows no transport.
"""

import json
from dataclasses import dataclass, field
from typing import Any, cast

from services.collector.model import PointCounts, Tally
from services.collector.tallies import Tallies
from services.common.metric_names import COUNTER_NAMES, CounterName
from services.common.telemetry import Counters, Labels

_MOST_OPEN = 8
"""Reports of which is not known whether they arrived."""

Totals = dict[tuple[str, Labels], int]
"""Counts by what is counted: the name of a counter, or that of a tally's part behind a dot."""

_PARTS = (".received", ".rejected", ".acknowledged")
_REASON = ".reason"
_APPENDED = ".appended"
"""Not a count: the latest time."""


@dataclass(frozen=True, slots=True)
class Report:
    """Totals of one life of a worker; a higher `number` is newer."""

    life: str
    pid: int
    number: int
    serving: bool
    config_seq: int
    """How far it follows the configuration."""
    totals: Totals

    def to_json(self) -> bytes:
        """As it is sent."""
        totals = [[name, labels, value] for (name, labels), value in self.totals.items()]
        head = {"version": 1, "life": self.life, "pid": self.pid, "number": self.number}
        state = {"serving": self.serving, "config_seq": self.config_seq}
        return json.dumps({**head, **state, "totals": totals}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Report":
        """Back again; ValueError, KeyError or TypeError when it is none."""
        read: dict[str, Any] = json.loads(data)
        totals = {
            (str(name), tuple((str(key), str(text)) for key, text in labels)): int(value)
            for name, labels, value in read["totals"]
        }
        return cls(
            life=str(read["life"]),
            pid=int(read["pid"]),
            number=int(read["number"]),
            serving=bool(read["serving"]),
            config_seq=int(read["config_seq"]),
            totals=totals,
        )


class Reporter:
    """The worker's side."""

    def __init__(self, tallies: Tallies, counters: Counters, *, life: str, pid: int) -> None:
        self._tallies = tallies
        self._counters = counters
        self._life = life
        self._pid = pid
        self._number = 0
        self._arrived: Totals = {}
        self._open: dict[int, Totals] = {}

    def report(self, arrived: int, *, serving: bool, config_seq: int = 0) -> Report:
        """The next one, after the owner said which is the last that arrived (0: none)."""
        if arrived in self._open:
            self._arrived = self._open[arrived]
            self._open = {number: totals for number, totals in self._open.items() if number > arrived}
        while len(self._open) >= _MOST_OPEN:
            self._open.pop(min(self._open))
        self._number += 1
        now = totals_of(self._tallies, self._counters)
        self._open[self._number] = now
        changed = {key: value for key, value in now.items() if self._arrived.get(key) != value}
        return Report(self._life, self._pid, self._number, serving, config_seq, changed)


@dataclass(slots=True)
class _Life:
    name: str
    number: int = 0
    totals: Totals = field(default_factory=dict)


class WorkerCounts:
    """The owner's side, of one worker over all its lives."""

    def __init__(self, tallies: Tallies, counters: Counters) -> None:
        self._tallies = tallies
        self._counters = counters
        self._life = _Life("")

    @property
    def arrived(self) -> tuple[str, int]:
        """The life and number of the last report."""
        return self._life.name, self._life.number

    def add(self, report: Report) -> None:
        """Add what is new in it."""
        if report.life != self._life.name:
            self._life = _Life(report.life)
        if report.number <= self._life.number:
            return
        known = self._life.totals
        self._life.number = report.number
        points: dict[str, Tally] = {}
        for (name, labels), total in report.totals.items():
            new = total - known.get((name, labels), 0)
            known[name, labels] = total
            if name.startswith("."):
                _add_part(points.setdefault(dict(labels)["tenant"], Tally()), name, labels, new, total)
            elif new:
                self._counters.add(cast("CounterName", name), new, **dict(labels))
        for tenant, tally in points.items():
            self._tallies.add(tenant, tally)


def totals_of(tallies: Tallies, counters: Counters) -> Totals:
    """Everything counted in a process."""
    totals: Totals = {
        (name, labels): value for name in COUNTER_NAMES for labels, value in counters.series(name).items()
    }
    for tenant in tallies.tenants():
        tally, key = tallies.of(tenant), (("tenant", tenant),)
        points = tally.points
        totals |= {
            (part, key): count
            for part, count in zip(
                _PARTS, (points.received, points.rejected, points.acknowledged), strict=True
            )
        }
        totals |= {(_REASON, (*key, ("reason", reason))): count for reason, count in tally.rejections.items()}
        if tally.last_append_ns is not None:
            totals[_APPENDED, key] = tally.last_append_ns
    return totals


def _add_part(tally: Tally, name: str, labels: Labels, new: int, total: int) -> None:
    if name == _REASON:
        tally.rejections[dict(labels)["reason"]] = new
    elif name == _APPENDED:
        tally.last_append_ns = total
    elif name in _PARTS:
        tally.points = tally.points.plus(PointCounts(**{name[1:]: new}))
