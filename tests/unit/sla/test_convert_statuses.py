"""Messages of statuses that are kept say what messages made anew would say."""

from dataclasses import replace

from services.sla.back_fills import Remark
from services.sla.columns import columns_of
from services.sla.convert import status_to_proto
from services.sla.convert_statuses import StatusMessages
from services.sla.figures import uptime_of
from services.sla.figures_model import Uptime
from services.sla.model import Revision, Slice
from services.sla.serve import ObjectiveStatus, Status
from services.sla.windows import Window
from tests.unit.sla.slicing import AVAILABILITY, TENANT

S = 10_000


def an_uptime(good: int) -> Uptime:
    one = Slice(0, S, good, 100, up_ns=S * 10**6, sealed=True)
    return uptime_of(AVAILABILITY, columns_of([(Revision(one, 1, 0), 7)]), Window(0, 4 * S, S))


def a_status(*parts: ObjectiveStatus) -> Status:
    return Status(TENANT, parts, 5, 6)


def test_kept_messages_are_those_of_the_status() -> None:
    messages = StatusMessages()
    first = ObjectiveStatus(AVAILABILITY, 1000, an_uptime(99))
    parts = [
        first,
        replace(first, figures=an_uptime(98)),
        replace(first, figures=None, absent_reason="OBJECTIVE_HAS_NO_DATA"),
        replace(first, figures=None, absent_reason="ANOTHER_REASON"),
        replace(first, first_data_ms=2000),
        replace(first, remark=Remark(3000, ("a series is in bytes",))),
        replace(first, objective=replace(AVAILABILITY, metric="another.metric")),
    ]
    for status in [a_status(one) for one in (*parts, *parts)] + [a_status(*parts)]:
        assert messages.of(status) == status_to_proto(status)


def test_an_answer_is_nobody_elses_message() -> None:
    messages, status = StatusMessages(), a_status(ObjectiveStatus(AVAILABILITY, 1000, an_uptime(99)))
    messages.of(status).objectives[0].uptime.good_count = 7

    assert messages.of(status).objectives[0].uptime.good_count == 99


def test_messages_that_nobody_asks_for_are_let_go() -> None:
    messages = StatusMessages(most=2)
    many = [a_status(ObjectiveStatus(AVAILABILITY, 1000, an_uptime(k))) for k in range(50)]

    assert [messages.of(one).objectives[0].uptime.good_count for one in many] == list(range(50))
    assert len(messages) == 2
