"""Reading the SLICES stream: bytes to `SlicesMessage`, strictly.

Knows the record's shape and nothing of what is done with it.
"""

import json
from typing import Any

from services.alerting.errors import MalformedRecord, NewerRecord
from services.alerting.model import Slice, SlicesMessage

STREAM = "SLICES"
_VERSION = 1


def decode_slices(data: bytes) -> SlicesMessage | None:
    """The message; None for records that carry no slices (EPOCH).

    Raises:
        NewerRecord: written by a newer release.
        MalformedRecord: not a record of this shape.
    """
    try:
        record = json.loads(data)
        if int(record["version"]) > _VERSION:
            raise NewerRecord(f"SLICES record of version {record['version']}, this release knows {_VERSION}")
        if record["type"] != "slices":
            return None
        return SlicesMessage(
            tenant=record["tenant"],
            watermark_ns=int(record["watermark_ns"]),
            slices=tuple(_slice(piece) for piece in record["slices"]),
            shard=int(record.get("shard", 0)),
            shards=int(record.get("shards", 1)),
        )
    except (KeyError, TypeError, ValueError) as err:
        raise MalformedRecord(f"not a SLICES record: {err!r}") from err


def _slice(piece: dict[str, Any]) -> Slice:
    length_ms = int(piece["length_ms"])
    if length_ms <= 0:
        raise ValueError(f"length_ms is {length_ms}")
    return Slice(
        objective=str(piece["objective"]),
        start_ms=int(piece["start_ms"]),
        length_ms=length_ms,
        good=int(piece["good"]),
        total=int(piece["total"]),
        excluded_ns=int(piece["excluded_ns"]),
        no_data_ns=int(piece["no_data_ns"]),
        not_started_ns=int(piece["not_started_ns"]),
        revision=int(piece["revision"]),
    )
