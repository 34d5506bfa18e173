"""From what a caller asked to a question that can be answered: terms, window, how far the data is.

Nothing is computed here, and nobody's right to ask is checked.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from services.common.clock import Clock
from services.sla.errors import ObjectiveHasNoData
from services.sla.figures_source import Question
from services.sla.heads import Found, Heads
from services.sla.kept_figures import TermsDigests, key_of
from services.sla.model import NS_PER_MS, Contract, Head, Objective, ObjectiveKind
from services.sla.ports import SliceStore
from services.sla.windows import Window, WindowRequest, resolve


class Contracts(Protocol):
    """The contracts that are applied."""

    def contracts(self, tenant: str | None = None) -> list[Contract]:
        """The versions in force, in order of tenant and name; of one tenant when it is given."""
        ...

    def versions(self, tenant: str | None = None) -> list[Contract]:
        """Every version, in order of tenant, name and effective date; of one tenant when it is given."""
        ...

    def timeline(self, tenant: str, key: str) -> tuple[Objective, ...]:
        """An objective in each version that has it, in order of time: [from_ms, until_ms) never overlap."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What every question about figures says: None stands for the objective's own window, and for now."""

    window: WindowRequest | None = None
    as_of_ms: int | None = None


class Questions:
    """Makes questions; see `SlaFigures` for the arguments."""

    def __init__(
        self,
        *,
        contracts: Contracts,
        slices: SliceStore,
        clock: Clock,
        burn_windows: Callable[[Objective], tuple[int, ...]],
    ) -> None:
        self._contracts = contracts
        self._slices = slices
        self._clock = clock
        self._burn_windows = burn_windows
        self._heads = Heads(slices)
        self._digests = TermsDigests()

    async def of(self, objective: Objective, asked: Asked, quantile: Fraction | None = None) -> Question:
        """The question about an objective that is in force.

        Raises:
            BadWindow. ObjectiveHasNoData: nothing of it has been computed yet. Unavailable.
        """
        return self._made(objective, asked, await self._known([objective], asked.as_of_ms), quantile)

    async def each(
        self, objectives: Sequence[Objective], asked: Asked
    ) -> list[Question | ObjectiveHasNoData]:
        """The same of several objectives of one tenant, all from one reading of how far they are.

        Raises:
            BadWindow. Unavailable.
        """
        known = await self._known(objectives, asked.as_of_ms)
        found: list[Question | ObjectiveHasNoData] = []
        for one in objectives:
            try:
                found.append(self._made(one, asked, known))
            except ObjectiveHasNoData as err:
                found.append(err)
        return found

    def key(self, question: Question) -> str:
        """Under which the figures may be kept: everything that they follow from."""
        children = tuple((one.objective.key, self.key(one)) for one in question.children)
        where = question.window
        return key_of(
            question.head,
            question.objective.tenant,
            question.objective.key,
            self._digests.of([question.objective, *(part.objective for part in question.parts)]),
            (where.start_ms, where.end_ms, where.data_end_ms),
            question.windows_ms,
            question.quantile,
            children,
        )

    def _made(
        self, objective: Objective, asked: Asked, known: Found, quantile: Fraction | None = None
    ) -> Question:
        if objective.kind is ObjectiveKind.COMPOSITE:
            return self._composite(objective, asked, known)
        if objective.kind is ObjectiveKind.INCIDENT_RESOLUTION:
            head = self._now(objective, asked)
        else:
            found = known.get((objective.tenant, objective.key))
            if found is None:
                raise _no_data(objective)
            head = found
        where = self._window(objective, asked, head)
        return self._question(objective, where, head, asked, quantile)

    def _composite(self, objective: Objective, asked: Asked, known: Found) -> Question:
        """Up to where all children are known; children without any data count as not known."""
        listed = [(one, known.get((one.tenant, one.key))) for one in self._children(objective)]
        children = [(one, head) for one, head in listed if head is not None]
        if not children:
            raise _no_data(objective)
        heads = [head for _, head in children]
        head = Head(
            database=heads[0].database,
            first_ms=min(one.first_ms for one in heads),
            end_ms=min(one.end_ms for one in heads),
            sealed_ms=min(one.sealed_ms for one in heads),
            known_ms=max(one.known_ms for one in heads),
            seq=max(one.seq for one in heads),
        )
        where = self._window(objective, asked, head)
        parts = tuple(self._question(one, where, head, asked) for one, head in children)
        return self._question(objective, where, head, asked, children=parts)

    def _children(self, objective: Objective) -> list[Objective]:
        """As the same version of the contract has them, or the one in force where that is not known."""
        names = () if objective.composite is None else objective.composite.children
        known = [
            one
            for one in self._contracts.versions(objective.tenant)
            if one.name == objective.contract and one.version == objective.contract_version
        ]
        return [
            one
            for contract in known or self._contracts.contracts(objective.tenant)
            if contract.name == objective.contract
            for one in contract.objectives
            if one.name in names
        ]

    def _question(
        self,
        objective: Objective,
        where: Window,
        head: Head,
        asked: Asked,
        quantile: Fraction | None = None,
        children: tuple[Question, ...] = (),
    ) -> Question:
        return Question(
            objective=objective,
            timeline=self._timeline(objective),
            window=where,
            head=head,
            windows_ms=() if children else self._burn_windows(objective),
            quantile=quantile,
            as_of_ms=asked.as_of_ms,
            children=children,
        )

    def _timeline(self, objective: Objective) -> tuple[Objective, ...]:
        """All versions; the one in force alone where the contracts do not know of others."""
        return self._contracts.timeline(objective.tenant, objective.key) or (objective,)

    def _window(self, objective: Objective, asked: Asked, head: Head) -> Window:
        # Until a first slice is sealed there is only the provisional one to show.
        return resolve(
            asked.window or objective.window,
            anchor_ms=head.sealed_ms or head.end_ms,
            slice_ms=objective.slice_ms,
            zone=objective.time_zone,
        )

    async def _known(self, objectives: Sequence[Objective], as_of_ms: int | None) -> Found:
        """How far these objectives of one tenant are, and the children of composites; maybe others too."""
        sliced = {
            (each.tenant, each.key)
            for one in objectives
            if one.kind is not ObjectiveKind.INCIDENT_RESOLUTION
            for each in (self._children(one) if one.kind is ObjectiveKind.COMPOSITE else [one])
        }
        if not sliced:
            return {}
        if as_of_ms is None:
            return await self._heads.of(objectives[0].tenant)
        names = sorted(sliced)
        spans = await asyncio.gather(
            *(self._slices.span(tenant, key, as_of_ms=as_of_ms) for tenant, key in names)
        )
        return {
            name: Head("as of", *span, as_of_ms, 0)
            for name, span in zip(names, spans, strict=True)
            if span is not None
        }

    def _now(self, objective: Objective, asked: Asked) -> Head:
        """Incidents have no slices: what is known of them is known up to now, and as long as there was a
        promise."""
        now_ms = self._clock.now_ns() // NS_PER_MS if asked.as_of_ms is None else asked.as_of_ms
        now_ms = now_ms // objective.slice_ms * objective.slice_ms
        return Head("", objective.from_ms, now_ms, now_ms, now_ms, 0)


def _no_data(objective: Objective) -> ObjectiveHasNoData:
    return ObjectiveHasNoData(
        f"nothing has been computed for {objective.key} yet",
        next_step=f"Send {objective.metric} over OTLP with a token of {objective.tenant}.",
    )
