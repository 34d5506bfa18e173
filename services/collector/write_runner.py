"""Keeps the writer going: under its lease, after every failure, and never at the receiver's cost."""

import logging
from collections.abc import Awaitable, Callable

from services.collector.errors import BatchMismatch
from services.common.clock import Clock
from services.common.errors import Aborted, ThreeninesError
from services.common.lease import Lease, run_while_leading

_log = logging.getLogger(__name__)
_PAUSE_S = 1.0
_ALARM_PAUSE_S = 30.0


def write_lease(region: str) -> str:
    """Name of the lease of a region's writer."""
    return f"writer.{region}"


async def run_writer(lease: Lease, write_for_ever: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Write whenever this process leads; never returns."""
    runner = _Runner(write_for_ever)

    async def body(_token: int) -> None:
        while True:
            await clock.sleep(await runner.once())

    await run_while_leading(lease, body)


class _Runner:
    """Runs the writer and says each new trouble once."""

    def __init__(self, write_for_ever: Callable[[], Awaitable[None]]) -> None:
        self._write_for_ever = write_for_ever
        self._told = ""

    async def once(self) -> float:
        """Write until it ends; the seconds to wait before the next time."""
        try:
            await self._write_for_ever()
        except Aborted:
            raise
        except BatchMismatch as err:
            _log.critical("the writer stands still: %s", err)
            return _ALARM_PAUSE_S
        except ThreeninesError as err:
            self._tell(err)
            return max(_PAUSE_S, err.retry_after_s or 0.0)
        # A defect in the writer must not end the process that acknowledges: what it acknowledges is
        # safe in the log, and the next release writes it.
        except Exception:
            _log.critical("the writer stands still after an unexpected error", exc_info=True)
            return _ALARM_PAUSE_S
        return 0.0

    def _tell(self, err: ThreeninesError) -> None:
        text = f"{err} ({err.reason})"
        _log.log(logging.DEBUG if text == self._told else logging.WARNING, "the writer waits: %s", text)
        self._told = text
