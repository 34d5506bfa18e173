"""Old terms before a date, new terms after it: which version of an objective holds when."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from services.common.auth import Principal, Role, enter_principal, leave_principal
from services.common.clock import ManualClock
from services.common.config_entries import Change, encode, subject_for
from services.common.config_feed import Applied, ConfigFeed, delete_document, put_document
from services.common.documents import Kind
from services.common.log_memory import MemoryEngine
from services.sla.errors import ObjectiveNotFound, ObjectiveNotInForce
from services.sla.memory import MemorySliceStore
from services.sla.objectives import Catalogue
from services.sla.serve import Asked, SlaFigures
from tests.unit.common.contract_texts import contract, load

UP = '{{name: {0}, type: availability, target: "{1}", window: month}}'


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


class Configured:
    """A catalogue over a log in memory, at a time that the test sets."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.clock = ManualClock()
        self.log = MemoryEngine(self.clock).log
        self.feed = ConfigFeed(self.log, self.clock)
        self.catalogue = Catalogue(self.feed, self.clock)

    async def apply(self, *texts: str) -> list[Applied]:
        out = [
            await put_document(self.log, document, actor="test", clock=self.clock)
            for document in load(self.tmp_path, *texts)
        ]
        await self.read()
        return out

    async def read(self) -> None:
        """Fold everything that is in the log into a new feed, as after a restart."""
        await self.feed.stop()
        self.feed = ConfigFeed(self.log, self.clock)
        await self.feed.start()
        self.catalogue = Catalogue(self.feed, self.clock)

    def at(self, text: str) -> None:
        self.clock.advance((ms(text) * 1_000_000 - self.clock.now_ns()) / 1e9)


@pytest.fixture
async def configured(tmp_path: Path) -> AsyncIterator[Configured]:
    made = Configured(tmp_path)
    yield made
    await made.feed.stop()


def ranges(configured: Configured, key: str) -> list[tuple[int, int | None, Fraction]]:
    return [(one.from_ms, one.until_ms, one.good_share) for one in configured.catalogue.timeline("acme", key)]


async def test_a_target_that_changes_on_the_15th_holds_from_local_midnight_on(configured: Configured) -> None:
    await configured.apply(
        contract(UP.format("up", "99.9%")), contract(UP.format("up", "99.5%"), since="2026-06-15")
    )
    turn = ms("2026-06-14T22:00:00")

    assert ranges(configured, "gold/up") == [
        (ms("2025-12-31T23:00:00"), turn, Fraction(999, 1000)),
        (turn, None, Fraction(995, 1000)),
    ]
    first, second = configured.catalogue.timeline("acme", "gold/up")
    assert first.contract_version < second.contract_version


async def test_the_version_in_force_changes_with_time_alone(configured: Configured) -> None:
    await configured.apply(
        contract(UP.format("up", "99.9%")), contract(UP.format("up", "99.5%"), since="2026-06-15")
    )
    seen = []
    for now in ("2025-12-31T22:59:59", "2025-12-31T23:00:00", "2026-06-14T21:59:59", "2026-06-14T22:00:00"):
        configured.at(now)
        seen.append([one.good_share for one in configured.catalogue.objectives("acme")])

    assert seen == [[], [Fraction(999, 1000)], [Fraction(999, 1000)], [Fraction(995, 1000)]]
    assert len(configured.catalogue.versions("acme")) == 2


async def test_objectives_that_come_and_go_have_a_bounded_range(configured: Configured) -> None:
    a, b = UP.format("a", "99%"), UP.format("b", "98%")
    await configured.apply(
        contract(a, since="2026-01-01"),
        contract(b, since="2026-02-01"),
        contract(a, b, since="2026-03-01"),
    )
    january, february, march = (ms(f"{day}T23:00:00") for day in ("2025-12-31", "2026-01-31", "2026-02-28"))

    assert [one[:2] for one in ranges(configured, "gold/a")] == [(january, february), (march, None)]
    assert [one[:2] for one in ranges(configured, "gold/b")] == [(february, march), (march, None)]
    assert configured.catalogue.timeline("acme", "gold/c") == ()
    assert configured.catalogue.timeline("umbra", "gold/a") == ()


async def test_applying_all_versions_again_changes_nothing(configured: Configured) -> None:
    texts = (contract(UP.format("up", "99.9%")), contract(UP.format("up", "99.5%"), since="2026-06-15"))
    first = await configured.apply(*texts)
    again = await configured.apply(*texts)

    assert [one.changed for one in first] == [True, True]
    assert [(one.seq, one.changed) for one in again] == [(one.seq, False) for one in first]


async def test_applying_one_date_again_replaces_that_version_only(configured: Configured) -> None:
    await configured.apply(
        contract(UP.format("up", "99.9%")), contract(UP.format("up", "99.5%"), since="2026-06-15")
    )
    await configured.apply(contract(UP.format("up", "99%")))

    assert [share for *_, share in ranges(configured, "gold/up")] == [Fraction(99, 100), Fraction(995, 1000)]


async def test_a_version_of_a_zone_hours_behind_that_never_begins_is_left_out(configured: Configured) -> None:
    behind = contract(UP.format("up", "99%"), since="2026-06-01").replace(
        "Europe/Berlin", "Pacific/Pago_Pago"
    )
    ahead = contract(UP.format("up", "98%"), since="2026-06-02").replace(
        "Europe/Berlin", "Pacific/Kiritimati"
    )
    await configured.apply(behind, ahead)

    assert [share for *_, share in ranges(configured, "gold/up")] == [Fraction(98, 100)]


async def stored_without_a_date(configured: Configured, text: str) -> Applied:
    """As an earlier release stored a contract."""
    (document,) = load(configured.tmp_path, text)
    subject = subject_for(Kind.CONTRACT, "acme", "gold")
    record = encode(Change(Kind.CONTRACT, "acme", "gold", document, "old", 0))
    ack = await configured.log.append("CONFIG", subject, record, msg_id=f"{subject}{text}")
    return Applied(ack.seq, changed=True)


async def test_a_contract_stored_without_a_date_is_read_and_is_one_version(configured: Configured) -> None:
    await stored_without_a_date(configured, contract(UP.format("up", "99.9%")))
    last = await stored_without_a_date(configured, contract(UP.format("up", "99%"), since="2026-02-01"))
    await configured.read()

    assert [share for *_, share in ranges(configured, "gold/up")] == [Fraction(99, 100)]
    (again,) = await configured.apply(contract(UP.format("up", "99%"), since="2026-02-01"))
    assert again == Applied(last.seq, changed=False)
    await configured.apply(contract(UP.format("up", "98%"), since="2026-02-01"))
    assert [share for *_, share in ranges(configured, "gold/up")] == [Fraction(98, 100)]


async def test_a_contract_stored_without_a_date_can_be_deleted(configured: Configured) -> None:
    text = contract(UP.format("up", "99.9%"))
    await stored_without_a_date(configured, text)
    (document,) = load(configured.tmp_path, text)
    deleted = await delete_document(configured.log, document.key, actor="test", clock=configured.clock)
    await configured.read()

    assert deleted.changed
    assert configured.catalogue.versions("acme") == []
    again = await delete_document(configured.log, document.key, actor="test", clock=configured.clock)
    assert again == Applied(deleted.seq, changed=False)


async def test_deleting_one_version_lets_the_one_before_hold_on(configured: Configured) -> None:
    later = contract(UP.format("up", "99.5%"), since="2026-06-15")
    await configured.apply(contract(UP.format("up", "99.9%")), later)
    (document,) = load(configured.tmp_path, later)
    await delete_document(configured.log, document.key, actor="test", clock=configured.clock)
    await configured.read()

    assert ranges(configured, "gold/up") == [(ms("2025-12-31T23:00:00"), None, Fraction(999, 1000))]


@pytest.mark.parametrize(
    ("now", "held"),
    [
        ("2025-06-01T00:00:00", "it holds from 2026-01-01T00:00+01:00 (Europe/Berlin)"),
        (
            "2026-08-01T00:00:00",
            "it holds from 2026-01-01T00:00+01:00 (Europe/Berlin)"
            " until 2026-07-01T00:00+02:00 (Europe/Berlin)",
        ),
    ],
    ids=["yet to begin", "ended"],
)
async def test_an_objective_that_is_not_in_force_says_when_it_is(
    configured: Configured, now: str, held: str
) -> None:
    texts = [contract(UP.format("up", "99.9%")), contract(UP.format("up", "99.5%"), since="2026-03-15")]
    if "until" in held:
        texts.append(contract(UP.format("other", "99%"), since="2026-07-01"))
    await configured.apply(*texts)
    configured.at(now)
    figures = SlaFigures(contracts=configured.catalogue, slices=MemorySliceStore(), clock=configured.clock)
    token = enter_principal(Principal("acme", Role.READER, "t"))
    try:
        with pytest.raises(ObjectiveNotInForce) as caught:
            await figures.uptime("acme", "gold/up", Asked())
        with pytest.raises(ObjectiveNotFound):
            await figures.uptime("acme", "gold/none", Asked())
    finally:
        leave_principal(token)

    assert str(caught.value).endswith(held)
    assert caught.value.reason == "OBJECTIVE_NOT_IN_FORCE"
