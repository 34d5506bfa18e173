"""SLICES records for tests: real payloads, made by hand."""

import json
from typing import Any

SECOND_MS = 1000
START_MS = 1_760_000_000_000


def piece(
    *,
    objective: str = "gold/availability",
    start_ms: int = START_MS,
    good: int = 0,
    bad: int = 0,
    length_ms: int = 10_000,
    no_data_ms: int = 0,
    excluded_ms: int = 0,
    revision: int = 1,
) -> dict[str, Any]:
    """One slice as the slicer publishes it."""
    observed_ns = (length_ms - no_data_ms - excluded_ms) * 1_000_000
    down = bad * 2 > good + bad
    return {
        "objective": objective,
        "start_ms": start_ms,
        "length_ms": length_ms,
        "good": good,
        "total": good + bad,
        "up_ns": 0 if down else observed_ns,
        "degraded_ns": 0,
        "down_ns": observed_ns if down else 0,
        "excluded_ns": excluded_ms * 1_000_000,
        "no_data_ns": no_data_ms * 1_000_000,
        "not_started_ns": 0,
        "distribution": None,
        "sealed": False,
        "revision": revision,
        "known_at_ms": start_ms + length_ms,
    }


def message(
    *pieces: dict[str, Any], watermark_ms: int, tenant: str | None = "acme", applied_seq: int = 1
) -> bytes:
    """One record of the stream."""
    record = {
        "version": 1,
        "type": "slices",
        "tenant": tenant if pieces else None,
        "watermark_ns": watermark_ms * 1_000_000,
        "applied_seq": applied_seq,
        "slices": list(pieces),
    }
    return json.dumps(record).encode()


def feed(
    outcomes: list[tuple[int, int]],
    *,
    start_ms: int = START_MS,
    length_ms: int = 10_000,
    objective: str = "gold/availability",
) -> list[bytes]:
    """One slice each (good, bad), published when it is over, with a watermark message between."""
    records = []
    for index, (good, bad) in enumerate(outcomes):
        at_ms = start_ms + index * length_ms
        slice_ = piece(start_ms=at_ms, good=good, bad=bad, length_ms=length_ms, objective=objective)
        records.append(message(slice_, watermark_ms=at_ms + length_ms))
        records.append(message(watermark_ms=at_ms + length_ms + length_ms // 2))
    return records
