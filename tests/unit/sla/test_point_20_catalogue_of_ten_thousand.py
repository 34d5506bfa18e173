"""Ten thousand tenants in the catalogue: a question about one, or a change of one, costs what it has."""

import time
from collections.abc import Callable
from statistics import median

import pytest

from services.common.clock import ManualClock
from services.common.config_feed import AppliedDocument
from services.common.documents import Kind
from services.common.documents_contract import ContractSpec
from services.sla.objectives import Catalogue

TENANTS = 10_000
SPEC = ContractSpec.model_validate(
    {
        "time_zone": "Europe/Berlin",
        "effective_from": "2026-01-01",
        "objectives": [
            {"name": "up", "type": "availability", "metric": "m", "target": "99.9%", "window": "30d"}
        ],
    }
)


class Feed:
    """What the configuration feed says to the catalogue."""

    def __init__(self, tenants: int) -> None:
        self.held = [self._document(k, k + 1) for k in range(tenants)]
        self.seq = tenants

    def specs(self, spec_type: type) -> list[AppliedDocument[ContractSpec]]:
        assert spec_type is ContractSpec
        return self.held

    def change(self, k: int) -> None:
        self.seq += 1
        self.held[k] = self._document(k, self.seq)

    def _document(self, k: int, seq: int) -> AppliedDocument[ContractSpec]:
        return AppliedDocument(Kind.CONTRACT, f"t-{k:05d}", "gold", SPEC, seq)


def catalogue_of(feed: Feed) -> Catalogue:
    clock = ManualClock()
    clock.advance(300 * 86_400 * 10)
    return Catalogue(feed, clock)  # type: ignore[arg-type]


def cost(work: Callable[[], object]) -> float:
    """CPU seconds of a hundred times on this thread, the median of five."""
    found = []
    for _ in range(5):
        begun = time.thread_time()
        for _ in range(100):
            work()
        found.append(time.thread_time() - begun)
    return median(found)


@pytest.fixture(scope="module")
def feed() -> Feed:
    return Feed(TENANTS)


@pytest.fixture(scope="module")
def catalogue(feed: Feed) -> Catalogue:
    made = catalogue_of(feed)
    assert len(made.tenants()) == TENANTS
    return made


@pytest.mark.parametrize("question", ["contracts", "versions", "objectives"])
def test_a_question_about_one_costs_what_it_costs_among_ten(catalogue: Catalogue, question: str) -> None:
    few = catalogue_of(Feed(10))
    assert len(getattr(few, question)("t-00007")) == 1

    alone = cost(lambda: getattr(few, question)("t-00007"))
    among = cost(lambda: getattr(catalogue, question)("t-07777"))

    # Looking at all of them would be a thousand times as much.
    assert among < 30 * alone


def test_a_change_of_one_makes_its_contracts_anew_and_no_others(feed: Feed, catalogue: Catalogue) -> None:
    before = {one.tenant: one for one in catalogue.versions()}
    (kept,) = catalogue.timeline("t-00008", "gold/up")

    feed.change(7)

    after = {one.tenant: one for one in catalogue.versions()}
    assert [name for name in after if after[name] is not before[name]] == ["t-00007"]
    assert after["t-00007"].version == feed.seq
    (changed,) = catalogue.timeline("t-00007", "gold/up")
    assert changed is after["t-00007"].objectives[0]
    assert catalogue.timeline("t-00008", "gold/up")[0] is kept


def test_a_tenant_that_goes_takes_its_timelines_with_it() -> None:
    feed = Feed(3)
    catalogue = catalogue_of(feed)
    assert catalogue.timeline("t-00001", "gold/up")

    del feed.held[1]
    feed.seq += 1

    assert catalogue.timeline("t-00001", "gold/up") == ()
    assert catalogue.tenants() == ["t-00000", "t-00002"]
    assert catalogue.contracts("t-00001") == []
