"""Runs the slicer's engine over stores in memory, for tests of what comes out."""

from fractions import Fraction

from services.sla.memory import MemoryPointReader, MemorySliceStore
from services.sla.model import Applied, Objective, ObjectiveKind, Revision, Slice, SliceMessage, Touched
from services.sla.slice_engine import Configuration, Plan, SliceEngine
from services.sla.slice_publish import messages
from services.sla.slice_sources import Sources
from services.sla.slice_terms import no_exclusions
from services.sla.slice_work import MemoryWorkStore
from tests.unit.sla.clients import METRIC, TENANT

# A time that is a whole hour, so that slices begin at it.
T0 = 1_795_392_000_000

AVAILABILITY = Objective(
    TENANT, "gold", "availability", ObjectiveKind.AVAILABILITY, Fraction(999, 1000), 30 * 86_400_000, METRIC
)
LATENCY = Objective(
    TENANT,
    "gold",
    "latency",
    ObjectiveKind.LATENCY,
    Fraction(95, 100),
    30 * 86_400_000,
    METRIC,
    threshold_s=Fraction(2),
)


class Bench:
    """An engine with its stores; every plan is published into the store."""

    def __init__(self, reader: MemoryPointReader, *objectives: Objective) -> None:
        self.reader = reader
        self.store = MemorySliceStore()
        self.objectives = objectives or (AVAILABILITY, LATENCY)
        self.versions: dict[str, tuple[Objective, ...]] = {}
        self.exclusions = no_exclusions
        self.changes = 0
        self.works = MemoryWorkStore()
        self.published: list[SliceMessage] = []
        self.source = Sources(reader)
        self.seq = 0
        self.restart()

    def restart(self) -> None:
        """A new engine that knows only what the stores know."""
        self.engine = SliceEngine(
            source=self.source,
            store=self.store,
            works=self.works,
            configuration=Configuration(
                objectives=lambda: list(self.objectives),
                timeline=lambda _tenant, key: self.versions.get(key, ()),
                exclusions=lambda *asked: self.exclusions(*asked),
                changed=lambda: self.changes,
            ),
        )

    async def apply(
        self, watermark_ms: int, *touched: tuple[int, int], publish: bool = True
    ) -> list[tuple[str, Revision]]:
        """One batch that wrote points of the given time ranges; what it published."""
        self.seq += 1
        batch = Applied(
            "db",
            self.seq,
            watermark_ms * 1_000_000,
            tuple(Touched(TENANT, METRIC, low, high) for low, high in touched),
        )
        plan = await self.engine.plan([batch])
        found = [(key[1], one) for key, revisions in plan.revisions.items() for one in revisions]
        if publish:
            await self.publish(plan)
            while (piece := await self.engine.piece()) is not None:
                found += [(key[1], one) for key, revisions in piece.revisions.items() for one in revisions]
                await self.publish(piece)
        return found

    async def publish(self, plan: Plan) -> None:
        """All of a plan into the store, hours with their slices; then the work that is left."""
        for message in messages(plan, applied_seq=self.seq, reported_ns=0):
            self.published.append(message)
            assert message.tenant is not None
            await self.store.store(message.tenant, message.slices, seq=self.seq, hours=message.hours)
        self.engine.commit(plan)
        await self.engine.save()

    async def slices(self, objective: Objective = AVAILABILITY) -> list[Slice]:
        """The current slices of an objective."""
        found = await self.store.current(TENANT, objective.key, low_ms=0, high_ms=T0 * 2)
        return [one.slice for one in found]
