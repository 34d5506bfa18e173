"""A plan as messages of SLICES. An hour is in one message with every slice that made it another.

Knows no stream.
"""

from collections.abc import Iterator, Mapping, Sequence

from services.sla.model import Revision, SliceMessage
from services.sla.slice_engine import Plan
from services.sla.slice_hours import hour_of

_MESSAGE_SLICES = 500

_Named = tuple[str, Revision]
_Part = tuple[list[_Named], list[_Named]]


def messages(plan: Plan, *, applied_seq: int, reported_ns: int) -> list[SliceMessage]:
    """What to append, in this order.

    Args:
        plan: what is to go out.
        applied_seq: the record of APPLIED that it follows.
        reported_ns: log time that was published before; the last message brings that of the plan.
    """
    parts = [(tenant, part) for tenant, part in _parts(plan)]
    return [
        SliceMessage(
            tenant,
            plan.watermark_ns if place == len(parts) else reported_ns,
            applied_seq,
            tuple(slices),
            tuple(hours),
        )
        for place, (tenant, (slices, hours)) in enumerate(parts, start=1)
    ]


def _parts(plan: Plan) -> Iterator[tuple[str, _Part]]:
    """Parts of a bearable size by tenant, none of which divides an hour."""
    owner = ""
    slices: list[_Named] = []
    hours: list[_Named] = []
    for (tenant, objective), revisions in sorted(plan.revisions.items()):
        if tenant != owner and (slices or hours):
            yield owner, (slices, hours)
            slices, hours = [], []
        owner = tenant
        for own_slices, own_hours in _by_hour(revisions, plan.hours.get((tenant, objective), ())):
            slices.extend((objective, one) for one in own_slices)
            hours.extend((objective, one) for one in own_hours)
            if len(slices) >= _MESSAGE_SLICES:
                yield tenant, (slices, hours)
                slices, hours = [], []
    if slices or hours:
        yield owner, (slices, hours)


def _by_hour(
    slices: Sequence[Revision], hours: Sequence[Revision]
) -> Iterator[tuple[list[Revision], list[Revision]]]:
    found: Mapping[int, tuple[list[Revision], list[Revision]]]
    found = {hour_of(one.slice.start_ms): ([], []) for one in (*slices, *hours)}
    for one in slices:
        found[hour_of(one.slice.start_ms)][0].append(one)
    for one in hours:
        found[one.slice.start_ms][1].append(one)
    for start in sorted(found):
        yield found[start]
