"""What workers count is counted once by their collector, whatever happens to the reports."""

import random

from services.collector.tallies import Tallies
from services.collector.worker_reports import Report, Reporter, WorkerCounts, totals_of
from services.common.telemetry import Counters


class Process:
    """The counts of one process."""

    def __init__(self, life: str = "life") -> None:
        self.counters = Counters()
        self.tallies = Tallies(self.counters, since_ns=0)
        self.reporter = Reporter(self.tallies, self.counters, life=life, pid=1)

    def work(self, rng: random.Random) -> None:
        """Count something of each kind."""
        tenant, points = rng.choice(["acme", "beta"]), rng.randint(1, 9)
        self.tallies.received(tenant, 2 * points)
        self.tallies.rejected(tenant, {rng.choice(["TOO_OLD", "NO_TIME"]): points})
        self.tallies.acknowledged(tenant, points, rng.randint(1, 10**18))
        self.tallies.failed(tenant, points, "CANCELLED")
        self.counters.add("collector.records.appended")

    def report(self, arrived: int) -> Report:
        """The next report, as it arrives."""
        return Report.from_json(self.reporter.report(arrived, serving=True).to_json())


def owner() -> tuple[Process, WorkerCounts]:
    """A collector without workers yet, and its side of one."""
    process = Process("owner")
    return process, WorkerCounts(process.tallies, process.counters)


def test_lost_repeated_and_late_reports_change_nothing() -> None:
    rng = random.Random(3)
    collector, counts = owner()
    worker = Process()
    late: list[Report] = []
    for _ in range(200):
        worker.work(rng)
        report = worker.report(counts.arrived[1])
        fate = rng.choice(["arrives", "lost", "twice", "late"])
        if fate in ("arrives", "twice"):
            counts.add(report)
        if fate == "twice":
            counts.add(report)
        if fate == "late":
            late.append(report)
        if late and rng.random() < 0.3:
            counts.add(late.pop(rng.randrange(len(late))))
    counts.add(worker.report(counts.arrived[1]))

    assert totals_of(collector.tallies, collector.counters) == totals_of(worker.tallies, worker.counters)


def test_what_did_not_change_is_not_told_again() -> None:
    rng = random.Random(1)
    _, counts = owner()
    worker = Process()
    worker.work(rng)
    first = worker.report(0)
    counts.add(first)

    assert first.totals
    assert worker.report(counts.arrived[1]).totals == {}
    worker.tallies.received("gamma", 5)
    assert {labels for _, labels in worker.report(first.number).totals} == {(("tenant", "gamma"),)}


def test_a_new_life_adds_to_what_the_old_one_counted_and_to_the_collectors_own() -> None:
    collector, counts = owner()
    collector.tallies.received("acme", 1)
    for life, points in (("first", 10), ("second", 100)):
        worker = Process(life)
        worker.tallies.received("acme", points)
        counts.add(worker.report(0))

    assert collector.tallies.of("acme").points.received == 111
    assert collector.counters.value("collector.points.received", tenant="acme") == 111
