"""A TICK each second: log time moves also when nobody sends anything.

Everyone downstream decides by log time; without ticks an outage of all senders would be the one
moment when alerts stand still. One process in the system holds the lease.
"""

import logging
from collections.abc import Callable

from services.collector.record import TICK_TENANT, encode_tick, message_id
from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.lease import Lease, run_while_leading
from services.common.log_port import Log
from services.common.streams import OTLP

TICK_LEASE = "otlp.0"
TICK_PERIOD_S = 1.0

_log = logging.getLogger(__name__)
_SUBJECT = f"otlp.0.{TICK_TENANT}"
_NONCE_BYTES = 16


async def run_ticker(lease: Lease, log: Log, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
    """Append ticks whenever this process holds the lease; never returns."""

    async def tick_for_ever(_token: int) -> None:
        while lease.held:
            await tick(log, random_bytes)
            await clock.sleep(TICK_PERIOD_S)

    await run_while_leading(lease, tick_for_ever)


async def tick(log: Log, random_bytes: Callable[[int], bytes]) -> None:
    """Append one TICK; a log that is away gets the next one instead."""
    record = encode_tick()
    try:
        await log.append(
            OTLP, _SUBJECT, record, msg_id=message_id(record, random_bytes(_NONCE_BYTES)), timeout_s=1.0
        )
    except Unavailable as err:
        _log.warning("no tick: %s", err)
