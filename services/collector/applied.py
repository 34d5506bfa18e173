"""Telling everyone downstream that a batch is stored: the stream APPLIED."""

import json

from services.collector.model import Applied
from services.common.log_port import Log
from services.common.streams import APPLIED


def applied_to_json(applied: Applied) -> bytes:
    """The message; times as Unix nanoseconds and milliseconds."""
    touched = [
        {
            "tenant": one.tenant,
            "metric": one.metric,
            "earliest_ms": one.earliest_ms,
            "latest_ms": one.latest_ms,
        }
        for one in applied.touched
    ]
    return json.dumps(
        {
            "version": 1,
            "database": applied.database,
            "first_seq": applied.first_seq,
            "last_seq": applied.last_seq,
            "watermark_ns": applied.watermark_ns,
            "touched": touched,
        },
        separators=(",", ":"),
    ).encode()


async def publish_applied(log: Log, applied: Applied, *, region: str) -> None:
    """Publish; repeating it after an unknown outcome is recognised by its id for two minutes, and
    after that by readers, who see a range that they have.

    Raises:
        Unavailable: publish again.
    """
    await log.append(
        APPLIED,
        f"applied.{region}",
        applied_to_json(applied),
        msg_id=f"{applied.database}:{applied.first_seq}-{applied.last_seq}",
    )
