"""Dead letters: the contract's messages and our model, in pairs. Pure."""

from services.collector.convert import timestamp
from services.collector.dead_letters import KeptLetter, LetterPage
from services.common.errors import InvalidArgument
from threenines.collector.v1 import collector_pb2, collector_service_pb2

_HEAD_BYTES = 1024


def letter_from_name(name: str) -> tuple[str, int]:
    """(tenant, number) of `tenants/{tenant}/deadLetters/{dead_letter}`.

    Raises:
        InvalidArgument: another shape.
    """
    parts = name.split("/")
    number = parts[3] if len(parts) == 4 and parts[0] == "tenants" and parts[2] == "deadLetters" else ""
    if not parts[1:2] or not parts[1] or not number.isascii() or not number.isdigit() or len(number) > 18:
        raise InvalidArgument("must be `tenants/{tenant}/deadLetters/{dead_letter}`", field="name")
    return parts[1], int(number)


def letter_to_proto(kept: KeptLetter, *, with_data: bool) -> collector_pb2.DeadLetter:
    """A dead letter."""
    head, replay = kept.letter.head, kept.replay if kept.replayed else None
    return collector_pb2.DeadLetter(
        name=f"tenants/{head['tenant']}/deadLetters/{kept.number}",
        stream=head["stream"],
        incarnation=str(head["incarnation"]),
        sequence=head["seq"],
        request_index=head["request"],
        append_time=timestamp(head["append_ns"]),
        region=f"regions/{head['region']}",
        reason=head["reason"],
        detail=head["detail"],
        point_count=head["points"],
        kept_bytes=len(kept.letter.data),
        data_head=kept.letter.data[:_HEAD_BYTES] if with_data else b"",
        replay_time=timestamp(None if replay is None else replay.time_ns),
        replay_sequence=0 if replay is None else replay.seq or 0,
    )


def page_to_proto(page: LetterPage) -> collector_service_pb2.ListDeadLettersResponse:
    """A page of dead letters."""
    return collector_service_pb2.ListDeadLettersResponse(
        dead_letters=[letter_to_proto(one, with_data=False) for one in page.letters],
        next_page_token=page.next_page or "",
    )
