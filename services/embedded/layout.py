"""Where things are on the laptop: ports, files and secrets of one data directory.

Knows names and paths only; starts nothing. Every secret is made once, stored with mode 0600 in
the data directory and never printed by this module.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"

# The ports that the ecosystem expects, in the order that --port-base counts them.
STANDARD_PORTS: Final = {
    "otlp": 4317,
    "otlp_http": 4318,
    "collector": 7700,
    "sla": 7710,
    "alerting": 7720,
    "dr": 7730,
    "clickhouse": 8123,
    "nats": 4222,
    "nats_monitor": 8222,
    "redis": 6379,
}


@dataclass(frozen=True, slots=True)
class Ports:
    """One TCP port for each listener."""

    by_name: tuple[tuple[str, int], ...]

    @classmethod
    def standard(cls) -> "Ports":
        """The standard ports of OTLP, ClickHouse, NATS and Redis, and our own."""
        return cls(tuple(STANDARD_PORTS.items()))

    @classmethod
    def from_base(cls, base: int) -> "Ports":
        """Consecutive ports from `base`, in the order of `STANDARD_PORTS`."""
        return cls(tuple((name, base + index) for index, name in enumerate(STANDARD_PORTS)))

    def __getitem__(self, name: str) -> int:
        return dict(self.by_name)[name]

    def address(self, name: str) -> str:
        """`host:port` of a listener."""
        return f"{HOST}:{self[name]}"


@dataclass(frozen=True, slots=True)
class DataDir:
    """The files of one `threenines up`."""

    root: Path

    @property
    def lock_file(self) -> Path:
        """Held (flock) by the running supervisor."""
        return self.root / "up.lock"

    @property
    def state_file(self) -> Path:
        """What runs where, for `threenines status` and the other commands."""
        return self.root / "state.json"

    @property
    def admin_token_file(self) -> Path:
        """The platform administrator's token, mode 0600."""
        return self.root / "admin-token"

    @property
    def own_metrics_token_file(self) -> Path:
        """The token with which the services send their own metrics, mode 0600."""
        return self.root / "own-metrics-token"

    @property
    def clickhouse_password_file(self) -> Path:
        """The password of the embedded ClickHouse, mode 0600."""
        return self.root / "clickhouse-password"

    @property
    def nats_token_file(self) -> Path:
        """The token of the embedded NATS, mode 0600."""
        return self.root / "nats-token"

    @property
    def redis_password_file(self) -> Path:
        """The password of the embedded Redis, mode 0600."""
        return self.root / "redis-password"

    @property
    def backups(self) -> Path:
        """Where ClickHouse writes backups."""
        return self.root / "backups"

    def engine(self, name: str) -> Path:
        """An engine's own directory."""
        return self.root / name

    def log_file(self, name: str) -> Path:
        """What a child prints."""
        return self.root / "logs" / f"{name}.log"

    def prepare(self) -> None:
        """Make the directories; the root is for its owner only, also where it was there before."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.chmod(0o700)
        for path in (self.root / "logs", self.backups):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def admin_token(self) -> str:
        """The administrator's token, made at first use."""
        return _secret(self.admin_token_file, _new_token)

    def own_metrics_token(self) -> str:
        """The services' own writer's token, made at first use."""
        return _secret(self.own_metrics_token_file, _new_token)

    def admin_token_sha256(self) -> str:
        """What the services get to know of the administrator's token."""
        return hashlib.sha256(self.admin_token().encode()).hexdigest()

    def clickhouse_password(self) -> str:
        """The embedded ClickHouse's password, made at first use."""
        return _secret(self.clickhouse_password_file, lambda: secrets.token_urlsafe(24))

    def nats_token(self) -> str:
        """The embedded NATS's token, made at first use: who may append to CONFIG may do everything."""
        return _secret(self.nats_token_file, lambda: secrets.token_hex(24))

    def redis_password(self) -> str:
        """The embedded Redis's password, made at first use."""
        return _secret(self.redis_password_file, lambda: secrets.token_hex(24))


def _new_token() -> str:
    return f"tn_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def _secret(path: Path, make: Callable[[], str]) -> str:
    if path.exists():
        return path.read_text().strip()
    value = make()
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(value + "\n")
    return value


def write_json_atomically(path: Path, value: object) -> None:
    """Replace `path` in one step, so that a reader never sees half of it; only its owner reads it.

    What runs where names URLs, and those hold credentials.
    """
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(value, indent=2) + "\n")
    temporary.replace(path)
