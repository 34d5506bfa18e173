"""The JSON of the streams that the slicer reads (APPLIED) and writes (SLICES). Version 1 of both.

Pairs that invert each other; integers stay integers. Knows no stream and no engine.
"""

import json
from typing import Any

from services.sla.model import (
    Applied,
    Distribution,
    DistributionKind,
    Revision,
    Slice,
    SliceMessage,
    Touched,
)

_VERSION = 1
_DURATIONS = ("up_ns", "degraded_ns", "down_ns", "excluded_ns", "no_data_ns", "not_started_ns")


def applied_from_json(data: bytes) -> Applied:
    """One record of APPLIED.

    Raises:
        ValueError: not a record of a version that this release knows.
    """
    record = _versioned(data)
    return Applied(
        database=str(record["database"]),
        last_seq=int(record["last_seq"]),
        watermark_ns=int(record["watermark_ns"]),
        touched=tuple(
            Touched(str(one["tenant"]), str(one["metric"]), int(one["earliest_ms"]), int(one["latest_ms"]))
            for one in record["touched"]
        ),
    )


def applied_to_json(applied: Applied) -> bytes:
    """As the writer publishes it; for tests and tools."""
    return _dump(
        {
            "version": _VERSION,
            "database": applied.database,
            "first_seq": applied.last_seq,
            "last_seq": applied.last_seq,
            "watermark_ns": applied.watermark_ns,
            "touched": [
                {
                    "tenant": one.tenant,
                    "metric": one.metric,
                    "earliest_ms": one.earliest_ms,
                    "latest_ms": one.latest_ms,
                }
                for one in applied.touched
            ],
        }
    )


def message_to_json(message: SliceMessage) -> bytes:
    """One record of SLICES; "hours" and shards are there only when there are several."""
    record: dict[str, Any] = {
        "version": _VERSION,
        "type": "slices",
        "tenant": message.tenant,
        "watermark_ns": message.watermark_ns,
        "applied_seq": message.applied_seq,
        "slices": [_revision_to_dict(objective, one) for objective, one in message.slices],
    }
    if message.shards > 1:
        record |= {"shard": message.shard, "shards": message.shards}
    if message.hours:
        record["hours"] = [_revision_to_dict(objective, one) for objective, one in message.hours]
    return _dump(record)


def message_from_json(data: bytes) -> SliceMessage | None:
    """One record of SLICES; None for one that holds no slices by its type (an epoch).

    Raises:
        ValueError: not a record of a version that this release knows.
    """
    record = _versioned(data)
    if record.get("type") != "slices":
        return None
    return SliceMessage(
        tenant=record["tenant"],
        watermark_ns=int(record["watermark_ns"]),
        applied_seq=int(record["applied_seq"]),
        slices=tuple((str(one["objective"]), _revision_from_dict(one)) for one in record["slices"]),
        hours=tuple((str(one["objective"]), _revision_from_dict(one)) for one in record.get("hours", ())),
        shard=int(record.get("shard", 0)),
        shards=int(record.get("shards", 1)),
    )


def _revision_to_dict(objective: str, one: Revision) -> dict[str, Any]:
    slice_ = one.slice
    return {
        "objective": objective,
        "start_ms": slice_.start_ms,
        "length_ms": slice_.length_ms,
        "good": slice_.good,
        "total": slice_.total,
        **{name: getattr(slice_, name) for name in _DURATIONS},
        "distribution": _distribution_to_dict(slice_.distribution),
        "sealed": slice_.sealed,
        "revision": one.revision,
        "known_at_ms": one.known_at_ms,
    }


def _revision_from_dict(one: dict[str, Any]) -> Revision:
    return Revision(
        slice=Slice(
            start_ms=int(one["start_ms"]),
            length_ms=int(one["length_ms"]),
            good=int(one["good"]),
            total=int(one["total"]),
            **{name: int(one[name]) for name in _DURATIONS},
            distribution=_distribution_from_dict(one["distribution"]),
            sealed=bool(one["sealed"]),
        ),
        revision=int(one["revision"]),
        known_at_ms=int(one["known_at_ms"]),
    )


def _distribution_to_dict(distribution: Distribution | None) -> dict[str, Any] | None:
    if distribution is None:
        return None
    if distribution.kind is DistributionKind.EXPLICIT:
        return {"kind": "explicit", "bounds": list(distribution.bounds), "counts": list(distribution.counts)}
    return {
        "kind": "exponential",
        "scale": distribution.scale,
        "offset": distribution.offset,
        "zero_count": distribution.zero_count,
        "counts": list(distribution.counts),
    }


def _distribution_from_dict(record: dict[str, Any] | None) -> Distribution | None:
    if record is None:
        return None
    counts = tuple(int(n) for n in record["counts"])
    if record["kind"] == "explicit":
        bounds = tuple(float(b) for b in record["bounds"])
        return Distribution(DistributionKind.EXPLICIT, counts, bounds=bounds)
    return Distribution(
        DistributionKind.EXPONENTIAL,
        counts,
        scale=int(record["scale"]),
        offset=int(record["offset"]),
        zero_count=int(record["zero_count"]),
    )


def _versioned(data: bytes) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(data)
    if record.get("version") != _VERSION:
        raise ValueError(f"record of version {record.get('version')!r}; this release knows {_VERSION}")
    return record


def _dump(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
