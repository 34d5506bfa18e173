"""Statuses to protobuf, each objective's part made once for as long as its figures are the same objects.

Dashboards ask for the same figures again and again, and making their messages is a good part of what the
service itself does for a warm answer. Kept by identity of what a message is made of, so that it can never be
of other figures. Which figures those are is decided elsewhere (`kept_figures.py`).
"""

from collections import OrderedDict

from services.sla.convert import objective_status_to_proto, status_to_proto
from services.sla.serve import ObjectiveStatus, Status
from threenines.sla.v1 import sla_pb2

_MOST = 4096


class StatusMessages:
    """Makes the messages of statuses."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._held: OrderedDict[tuple[int, int], tuple[ObjectiveStatus, sla_pb2.ObjectiveStatus]] = (
            OrderedDict()
        )

    def of(self, status: Status) -> sla_pb2.SlaStatus:
        """The message of one tenant's status."""
        return status_to_proto(status, self._part)

    def __len__(self) -> int:
        """How many parts are kept."""
        return len(self._held)

    def _part(self, one: ObjectiveStatus) -> sla_pb2.ObjectiveStatus:
        key = id(one.objective), id(one.figures)
        held = self._held.get(key)
        if held is not None and _same(held[0], one):
            self._held.move_to_end(key)
            return held[1]
        made = objective_status_to_proto(one)
        # What is kept holds its objects, so that no other can get their identity.
        self._held[key] = one, made
        if len(self._held) > self._most:
            self._held.popitem(last=False)
        return made


def _same(held: ObjectiveStatus, one: ObjectiveStatus) -> bool:
    """Made of the very same objects; the rest is small enough to be compared."""
    return (
        held.objective is one.objective
        and held.figures is one.figures
        and (held.first_data_ms, held.absent_reason, held.remark)
        == (one.first_data_ms, one.absent_reason, one.remark)
    )
