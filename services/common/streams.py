"""Every stream and bucket of the system, declared.

JetStream's defaults are wrong for a log (it would discard the oldest record when full), so
nothing is left to them. Declarations are data; `ensure_streams` makes the server agree with
them, at every start of every service, in any order and at the same time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.common.errors import FailedPrecondition, InvalidArgument
from services.common.nats_api import NatsApi, raise_api_error
from services.common.settings import Settings

OTLP = "OTLP"
CONFIG = "CONFIG"
APPLIED = "APPLIED"
SLICES = "SLICES"
REPORTS = "REPORTS"
ALERTS = "ALERTS"
NOTIFY = "NOTIFY"
AUDIT = "AUDIT"
DEADLETTER = "DEADLETTER"

POSITIONS = "positions"
LEASES = "leases"
ALERT_STATE = "alert_state"
CONTROL = "control"

DUPLICATE_WINDOW_NS = 120 * 1_000_000_000
_NAME_IN_USE = 10058
_NO_ROOM = 10047
# A cluster that starts elects its leaders first; 8 s were seen.
_PATIENCE_S = 30.0


class Retention(StrEnum):
    """When a record goes away."""

    LIMITS = "limits"
    WORK_QUEUE = "workqueue"


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A log stream; `share` is its part of the bytes that all streams may take."""

    name: str
    subjects: str
    share: float
    retention: Retention = Retention.LIMITS


STREAMS = (
    StreamSpec(OTLP, "otlp.>", 0.67),
    StreamSpec(CONFIG, "config.>", 0.01),
    StreamSpec(APPLIED, "applied.>", 0.04),
    StreamSpec(SLICES, "slices.>", 0.10),
    StreamSpec(REPORTS, "reports.>", 0.02),
    StreamSpec(ALERTS, "alerts.>", 0.04),
    StreamSpec(NOTIFY, "notify.>", 0.03, Retention.WORK_QUEUE),
    StreamSpec(AUDIT, "audit.>", 0.04),
    StreamSpec(DEADLETTER, "deadletter.>", 0.01),
)
BUCKETS = (POSITIONS, LEASES, ALERT_STATE, CONTROL)
_BUCKET_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class StreamsConfig:
    """`total_bytes` is what all streams and buckets may take together: at most 80 % of the
    volume and below the server's own `max_file`. `placement_tags` must all match a server."""

    total_bytes: int = 4 << 30
    replicas: int = 1
    placement_tags: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, settings: Settings) -> "StreamsConfig":
        """As THREENINES_LOG_* say."""
        return cls(settings.log_bytes, settings.log_replicas, settings.log_placement_tags)


def check_subject(subject: str) -> None:
    """Raise InvalidArgument (BAD_SUBJECT) for what no record can be appended to."""
    tokens = subject.split(".")
    if any(token.split() != [token] or token in ("*", ">") for token in tokens):
        raise InvalidArgument(f"{subject!r} is no subject", reason="BAD_SUBJECT")


def stream_config(spec: StreamSpec, config: StreamsConfig) -> dict[str, object]:
    """The server's configuration of a stream (the STREAM.CREATE request)."""
    return {
        **_common(spec.name, spec.subjects, round(config.total_bytes * spec.share), config),
        "retention": spec.retention.value,
        "max_msgs_per_subject": -1,
    }


def bucket_stream(bucket: str) -> str:
    """The stream that holds a bucket."""
    return f"KV_{bucket}"


def bucket_config(bucket: str, config: StreamsConfig) -> dict[str, object]:
    """The server's configuration of a key-value bucket: the last message of each subject."""
    subjects = f"$KV.{bucket}.>"
    return {
        **_common(bucket_stream(bucket), subjects, round(config.total_bytes * _BUCKET_SHARE), config),
        "retention": Retention.LIMITS.value,
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        # Leases and delete markers expire by themselves. No limit markers: they hide an expired
        # key's subject from a create.
        "allow_msg_ttl": True,
    }


async def ensure_streams(api: NatsApi, config: StreamsConfig | None = None) -> None:
    """Create what is missing and update what differs; idempotent, safe in parallel.

    Without `config`, which is for those that do not know how large the log is to be, what is there stays
    as it is.

    Raises:
        FailedPrecondition: LOG_NO_ROOM, the server's `max_file` is smaller than `total_bytes`;
            LOG_REFUSED, anything else that the server does not accept.
        Unavailable: LOG_UNAVAILABLE.
    """
    wanted = config or StreamsConfig()
    for spec in STREAMS:
        await _ensure(api, stream_config(spec, wanted), update=config is not None)
    for bucket in BUCKETS:
        await _ensure(api, bucket_config(bucket, wanted), update=config is not None)


def _common(name: str, subjects: str, max_bytes: int, config: StreamsConfig) -> dict[str, object]:
    declared: dict[str, object] = {
        "name": name,
        "subjects": [subjects],
        "storage": "file",
        "discard": "new",
        "max_bytes": max_bytes,
        "max_age": 0,
        "max_msgs": -1,
        "max_msg_size": -1,
        "max_consumers": -1,
        "num_replicas": config.replicas,
        "duplicate_window": DUPLICATE_WINDOW_NS,
        "allow_direct": True,
        # Announces what was stored, without the data: wakes waiting readers.
        "republish": {"src": ">", "dest": f"changed.{name}.>", "headers_only": True},
    }
    if config.placement_tags:
        declared["placement"] = {"tags": list(config.placement_tags)}
    return declared


async def _ensure(api: NatsApi, declared: Mapping[str, object], *, update: bool) -> None:
    name = str(declared["name"])
    answer = await api.request(f"STREAM.CREATE.{name}", declared, timeout_s=_PATIENCE_S)
    if _error_code(answer) == _NAME_IN_USE:
        if not update:
            return
        answer = await api.request(f"STREAM.UPDATE.{name}", declared, timeout_s=_PATIENCE_S)
    if _error_code(answer) == _NO_ROOM:
        raise FailedPrecondition(
            f"the log server has no room for {declared['max_bytes']} bytes of {name}",
            reason="LOG_NO_ROOM",
            next_step="raise jetstream max_file, or lower the bytes that the streams may take",
        )
    raise_api_error(answer, name)


def _error_code(answer: Mapping[str, object]) -> int | None:
    error = answer.get("error")
    return error.get("err_code") if isinstance(error, dict) else None
