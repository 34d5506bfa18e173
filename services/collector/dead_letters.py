"""What could not be written, for the people who look after it: listing and reading the stream DEADLETTER.

A dead letter is named by its sequence there. Whether it was replayed is kept in the bucket `control`, by
what the letter is about and not by the letter, since each region tells of the same record. Appending
again is `dead_letters_replay.py`; how a letter is written is `poison.py`.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.collector.errors import CorruptRecord
from services.collector.poison import DeadLetter, decode_dead_letter
from services.common.auth import Role, require_platform, require_tenant
from services.common.errors import InvalidArgument, NotFound
from services.common.log_port import KeyValue, Log
from services.common.streams import CONTROL, DEADLETTER

ALL_TENANTS = "-"
DEFAULT_PAGE = 100
LARGEST_PAGE = 1000
READERS = (Role.OPERATOR, Role.AUDITOR)


@dataclass(frozen=True, slots=True)
class Replay:
    """What is known of a replay. `seq` is the record's that was appended, None while it is under way."""

    since_seq: int
    """The stream's last sequence when it was begun: the record comes after it."""
    seq: int | None = None
    time_ns: int | None = None

    def to_json(self) -> bytes:
        """As stored."""
        return json.dumps({"since_seq": self.since_seq, "seq": self.seq, "time_ns": self.time_ns}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Replay":
        """As read."""
        kept = json.loads(data)
        return cls(kept["since_seq"], kept["seq"], kept["time_ns"])


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter, its sequence in the stream DEADLETTER, and its replay if there was one."""

    number: int
    letter: DeadLetter
    replay: Replay | None

    @property
    def replayed(self) -> bool:
        """Whether it was appended again."""
        return self.replay is not None and self.replay.seq is not None


@dataclass(frozen=True, slots=True)
class LetterPage:
    """One page, oldest first."""

    letters: tuple[KeptLetter, ...]
    next_page: str | None


def replay_key(letter: DeadLetter) -> str:
    """Where the replay of what a letter is about is kept."""
    return f"replayed.{letter.place}"


async def read_letters(log: Log, number: int = 1) -> AsyncIterator[tuple[int, DeadLetter]]:
    """Every dead letter from this sequence on, with its sequence.

    Raises:
        Unavailable: the log does not answer.
    """
    while entries := await log.read(DEADLETTER, number):
        for entry in entries:
            try:
                yield entry.seq, decode_dead_letter(entry.data)
            except CorruptRecord:
                # Not ours: other services have letters of their own in the stream.
                continue
        number = entries[-1].seq + 1


class DeadLetterReader:
    """The use cases that change nothing; each checks who asks."""

    def __init__(self, log: Log, kv: KeyValue) -> None:
        self._log = log
        self._kv = kv

    async def page(self, tenant: str, *, page_size: int, page_token: str, show_replayed: bool) -> LetterPage:
        """A page of a tenant's dead letters; `-` is every tenant, for the platform alone.

        Raises:
            InvalidArgument: page size or token.
            PermissionDenied: another tenant, or a role that may not.
            Unavailable: the log does not answer.
        """
        if tenant == ALL_TENANTS:
            require_platform(*READERS)
        else:
            require_tenant(tenant, *READERS)
        size, start = _page_size(page_size), _page_start(page_token)
        replayed = set(await self._kv.keys(CONTROL, "replayed."))
        found: list[KeptLetter] = []
        async for number, letter in read_letters(self._log, start):
            if tenant not in (ALL_TENANTS, letter.head["tenant"]):
                continue
            replay = await self.replay_of(letter) if replay_key(letter) in replayed else None
            kept = KeptLetter(number, letter, replay)
            if kept.replayed and not show_replayed:
                continue
            if len(found) == size:
                return LetterPage(tuple(found), str(number))
            found.append(kept)
        return LetterPage(tuple(found), None)

    async def one(self, tenant: str, number: int) -> KeptLetter:
        """A dead letter of a tenant.

        Raises:
            NotFound: DEAD_LETTER_UNKNOWN, also for another tenant's.
            PermissionDenied: another tenant, or a role that may not.
            Unavailable: the log does not answer.
        """
        require_tenant(tenant, *READERS)
        return await self.find(tenant, number)

    async def find(self, tenant: str, number: int) -> KeptLetter:
        """As `one`, without asking for rights."""
        async for place, letter in read_letters(self._log, number):
            if place == number and letter.head["tenant"] == tenant:
                return KeptLetter(number, letter, await self.replay_of(letter))
            break
        raise NotFound(f"tenant {tenant} has no dead letter {number}", reason="DEAD_LETTER_UNKNOWN")

    async def replay_of(self, letter: DeadLetter) -> Replay | None:
        """What is known of the replay of what a letter is about."""
        entry = await self._kv.get(CONTROL, replay_key(letter))
        return None if entry is None else Replay.from_json(entry.value)


def _page_size(asked: int) -> int:
    if asked < 0:
        raise InvalidArgument("must not be negative", field="page_size")
    return min(asked or DEFAULT_PAGE, LARGEST_PAGE)


def _page_start(token: str) -> int:
    if not token:
        return 1
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        raise InvalidArgument("no page has this token", field="page_token")
    return int(token)
