"""The three loops of alerting: evaluate, notify (one holder each) and deliver (anybody).

Each loop knows what to do when the log goes away: give up the lease and take over anew, since
outcomes are unknown. Decides nothing.
"""

import asyncio
import json
import logging

from services.alerting import records
from services.alerting.deliver import Deliverer
from services.alerting.evaluate import Evaluator
from services.alerting.notify import Notifier
from services.common.clock import Clock
from services.common.errors import Aborted, Unavailable
from services.common.lease import FencedWriter, Lease, run_while_leading
from services.common.log_port import Job, KeyValue, Log, WorkQueue

EVALUATOR_LEASE = "evaluator.0"
NOTIFIER_LEASE = "notifier.0"
CONSUMER = "webhook"

_WAIT_S = 1.0
_RETRY_S = 0.5
_DELIVERIES = 32

_log = logging.getLogger(__name__)


def alerting_lease(kv: KeyValue, clock: Clock, *, name: str, holder: str, ttl_s: int) -> Lease:
    """A lease that another process gets `ttl_s` after the holder died."""
    return Lease(kv, clock, name=name, holder=holder, ttl_s=ttl_s, renew_s=ttl_s * 0.3, margin_s=ttl_s * 0.2)


async def run_evaluator(evaluator: Evaluator, lease: Lease, *, log: Log, holder: str) -> None:
    """Evaluate whenever the lease is ours, for ever."""

    async def lead(token: int) -> None:
        writer = FencedWriter(log, records.STREAM, records.SUBJECT)
        epoch = {"version": 1, "type": "epoch", "holder": holder, "token": token}
        epoch_seq = await writer.open(json.dumps(epoch).encode())
        await evaluator.take_over(writer, epoch_seq=epoch_seq)
        while True:
            await evaluator.step(wait_s=_WAIT_S)

    await run_while_leading(lease, lead)


async def run_notifier(notifier: Notifier, lease: Lease) -> None:
    """Notify whenever the lease is ours, for ever."""

    async def lead(_token: int) -> None:
        await notifier.take_over()
        while True:
            await notifier.step(wait_s=_WAIT_S)

    await run_while_leading(lease, lead)


async def run_deliveries(deliverer: Deliverer, queue: WorkQueue, *, clock: Clock) -> None:
    """Deliver up to 32 notifications beside each other, for ever: a slow receiver keeps its own."""
    running: set[asyncio.Task[None]] = set()
    try:
        while True:
            if len(running) >= _DELIVERIES:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            try:
                jobs = await queue.fetch(_DELIVERIES - len(running), wait_s=_WAIT_S)
            except Unavailable as err:
                _log.warning("deliveries wait for the log: %s", err)
                await clock.sleep(err.retry_after_s or _RETRY_S)
                continue
            for job in jobs:
                task = asyncio.create_task(_deliver(deliverer, job))
                running.add(task)
                task.add_done_callback(running.discard)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _deliver(deliverer: Deliverer, job: Job) -> None:
    try:
        await deliverer.handle(job)
    except (Unavailable, Aborted) as err:
        _log.warning("a notification comes again: %s", err)
    except Exception:  # one notification's defect must not stop all others; it comes again
        _log.exception("a notification could not be handled")
