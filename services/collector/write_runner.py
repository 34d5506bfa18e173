"""Keeps the writer going: under its lease, after every failure, and never at the receiver's cost."""

import logging
from collections.abc import Awaitable, Callable

from services.collector.errors import BatchMismatch
from services.common.clock import Clock
from services.common.errors import Aborted, FailedPrecondition, ThreeninesError
from services.common.lease import Lease, run_while_leading

_log = logging.getLogger(__name__)
_PAUSE_S = 1.0
_ALARM_PAUSE_S = 30.0


def write_lease(region: str) -> str:
    """Name of the lease of a region's writer."""
    return f"writer.{region}"


class WriterRunner:
    """Runs the writer, says each new trouble once, and knows whether it stands still."""

    def __init__(self, lease: Lease, write_for_ever: Callable[[], Awaitable[None]], clock: Clock) -> None:
        self._lease = lease
        self._write_for_ever = write_for_ever
        self._clock = clock
        self._told = ""
        self._halted = ""

    async def run(self) -> None:
        """Write whenever this process leads; never returns."""
        await run_while_leading(self._lease, self._lead)

    def wrote(self) -> None:
        """A batch is stored: whatever was wrong is over."""
        self._halted = self._told = ""

    async def probe(self) -> None:
        """Return unless the writer stands still.

        Raises:
            FailedPrecondition: WRITER_HALTED; somebody has to look.
        """
        if self._halted:
            raise FailedPrecondition(self._halted, reason="WRITER_HALTED")

    async def _lead(self, _token: int) -> None:
        while True:
            await self._clock.sleep(await self._once())

    async def _once(self) -> float:
        """Write until it ends; the seconds to wait before the next time."""
        try:
            await self._write_for_ever()
        except Aborted:
            raise
        except BatchMismatch as err:
            return self._halt(f"the writer stands still: {err}")
        except ThreeninesError as err:
            self._tell(err)
            return max(_PAUSE_S, err.retry_after_s or 0.0)
        # A defect in the writer must not end the process that acknowledges: what it acknowledges is
        # safe in the log, and the next release writes it.
        except Exception as err:
            _log.critical("an unexpected error in the writer", exc_info=True)
            return self._halt(f"the writer stands still after {type(err).__name__}")
        return 0.0

    def _halt(self, text: str) -> float:
        _log.critical("%s", text)
        self._halted = text
        return _ALARM_PAUSE_S

    def _tell(self, err: ThreeninesError) -> None:
        text = f"{err} ({err.reason})"
        _log.log(logging.DEBUG if text == self._told else logging.WARNING, "the writer waits: %s", text)
        self._told = text
