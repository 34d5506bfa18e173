"""Standing still between two batches while somebody takes a consistent copy of the tables.

Who wants that writes `pause.<region>` in the control bucket; the writer answers with its position
in `paused.<region>` and waits until the wish is gone or its deadline has passed: a copy that dies
cannot stop the writer for ever.
"""

import json
import logging

from services.common.clock import Clock
from services.common.log_port import KeyValue
from services.common.streams import CONTROL, OTLP

_log = logging.getLogger(__name__)
_POLL_S = 0.05


class PauseGate:
    """The writer's side of the pause."""

    def __init__(self, kv: KeyValue, clock: Clock, *, region: str) -> None:
        self._kv = kv
        self._clock = clock
        self._wish_key = f"pause.{region}"
        self._answer_key = f"paused.{region}"

    async def pass_through(self, *, database: str, written_seq: int) -> bool:
        """Return at once, or after the pause that was asked for; whether there was one.

        Raises:
            Unavailable: the KV store does not answer.
        """
        wish = await self._wish()
        if wish is None:
            return False
        answer = {"id": wish, "position": {OTLP: written_seq}, "database": database}
        await self._kv.put(CONTROL, self._answer_key, json.dumps(answer).encode())
        _log.info("paused at %d for %s", written_seq, wish)
        try:
            while await self._wish() == wish:
                await self._clock.sleep(_POLL_S)
        finally:
            await self._kv.delete(CONTROL, self._answer_key)
        _log.info("resumed after %s", wish)
        return True

    async def _wish(self) -> str | None:
        """The id of a pause that is asked for and not overdue."""
        entry = await self._kv.get(CONTROL, self._wish_key)
        if entry is None:
            return None
        wish = json.loads(entry.value)
        if self._clock.now_ns() >= int(wish["deadline_ns"]):
            return None
        return str(wish["id"])
