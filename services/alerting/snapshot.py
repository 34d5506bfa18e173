"""What survives a restart of the evaluator: KV keys of its own shape.

One key for each instance (its last transition), one for each tenant's rules, one for the position
in the streams. The keys are written one after another and a crash may come between any two, so
each says for itself as of which message of SLICES it is; `evaluate.py` puts them together. Every
write is a compare-and-set: a holder that lost its lease cannot overwrite its successor's state.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.alerting.errors import MalformedRecord
from services.alerting.fold import InstanceKey, WindowKey
from services.alerting.model import Transition
from services.alerting.records import AlertsRecord, RulesRecord, decode, encode
from services.alerting.window import Marks
from services.common.errors import AlreadyExists
from services.common.log_port import KeyValue

BUCKET = "alert_state"
POSITION_KEY = "evaluator.0.position"
RULES_PREFIX = "evaluator.0.rules."
INSTANCE_PREFIX = "evaluator.0.instance."
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Position:
    """How far the state goes.

    Attributes:
        slices_seq: last message of SLICES that is part of it.
        alerts_seq: last record of ALERTS of those messages; later ones are found by reading on.
        watermark_ns: log time at that position.
        log_times: the same by shard, as `LogTimes` keeps it.
        epoch_seq: the EPOCH record of the holder that wrote it.
        marks: how to rebuild the windows.
    """

    slices_seq: int = 0
    alerts_seq: int = 0
    watermark_ns: int = 0
    log_times: tuple[int, ...] = ()
    epoch_seq: int = 0
    marks: Mapping[WindowKey, Marks] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything that the store knows."""

    position: Position
    instances: Mapping[InstanceKey, Transition]
    rules: Mapping[str, RulesRecord]


class SnapshotStore:
    """The evaluator's keys, each with the revision that we wrote or read last."""

    def __init__(self, kv: KeyValue) -> None:
        self._kv = kv
        self._revisions: dict[str, int] = {}

    async def load(self) -> Loaded:
        """Read everything; from here on only these revisions may be replaced."""
        self._revisions = {}
        instances: dict[InstanceKey, Transition] = {}
        rules: dict[str, RulesRecord] = {}
        position = await self.position()
        for key in await self._kv.keys(BUCKET, INSTANCE_PREFIX):
            record = await self._record(key)
            if isinstance(record, Transition):
                instances[(record.tenant, record.fingerprint)] = record
        for key in await self._kv.keys(BUCKET, RULES_PREFIX):
            record = await self._record(key)
            if isinstance(record, RulesRecord):
                rules[record.tenant] = record
        return Loaded(position, instances, rules)

    async def position(self) -> Position:
        """The saved position, or the beginning."""
        data = await self._read(POSITION_KEY)
        return Position() if data is None else _position(data)

    async def save_position(self, position: Position) -> None:
        """Raises Aborted (FENCED) when another holder has taken over."""
        await self._write(POSITION_KEY, _position_bytes(position))

    async def save_instance(self, change: Transition) -> None:
        """Raises Aborted (FENCED) when another holder has taken over."""
        await self._write(instance_key(change.tenant, change.fingerprint), encode(change))

    async def save_rules(self, record: RulesRecord) -> None:
        """Raises Aborted (FENCED) when another holder has taken over."""
        await self._write(RULES_PREFIX + record.tenant, encode(record))

    async def _record(self, key: str) -> AlertsRecord | None:
        data = await self._read(key)
        return None if data is None else decode(data)

    async def _read(self, key: str) -> bytes | None:
        entry = await self._kv.get(BUCKET, key)
        if entry is None:
            return None
        self._revisions[key] = entry.revision
        return entry.value

    async def _write(self, key: str, value: bytes) -> None:
        revision = self._revisions.get(key)
        if revision is None:
            self._revisions[key] = await self._create(key, value)
        else:
            self._revisions[key] = await self._kv.update(BUCKET, key, value, revision=revision)

    async def _create(self, key: str, value: bytes) -> int:
        try:
            return await self._kv.create(BUCKET, key, value)
        except AlreadyExists:
            # Our own create whose answer was lost, or a key that another holder made meanwhile.
            entry = await self._kv.get(BUCKET, key)
            if entry is not None and entry.value == value:
                return entry.revision
            return await self._kv.update(BUCKET, key, value, revision=0)


def instance_key(tenant: str, fingerprint: str) -> str:
    """The key of one instance."""
    return f"{INSTANCE_PREFIX}{tenant}.{fingerprint}"


def _position_bytes(position: Position) -> bytes:
    windows = [
        [tenant, objective, mark.first_ms, mark.kept_ms, mark.from_seq]
        for (tenant, objective), mark in sorted(position.marks.items())
    ]
    body = {
        "version": _VERSION,
        "slices_seq": position.slices_seq,
        "alerts_seq": position.alerts_seq,
        "watermark_ns": position.watermark_ns,
        "log_times": list(position.log_times),
        "epoch_seq": position.epoch_seq,
        "windows": windows,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _position(data: bytes) -> Position:
    try:
        body: dict[str, Any] = json.loads(data)
        return Position(
            slices_seq=int(body["slices_seq"]),
            alerts_seq=int(body["alerts_seq"]),
            watermark_ns=int(body["watermark_ns"]),
            log_times=tuple(int(one) for one in body.get("log_times", ())),
            epoch_seq=int(body["epoch_seq"]),
            marks={
                (tenant, objective): Marks(int(first_ms), int(kept_ms), int(from_seq))
                for tenant, objective, first_ms, kept_ms, from_seq in body["windows"]
            },
        )
    except (KeyError, TypeError, ValueError) as err:
        raise MalformedRecord(f"not a position of the evaluator: {err!r}") from err
