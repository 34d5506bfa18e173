"""Hints: waking early, never losing what came between looking and waiting."""

import asyncio

from services.common.clock import ManualClock
from services.common.hints import Hint, wait_for_hint


async def test_all_who_wait_are_woken() -> None:
    hint, clock = Hint(), ManualClock()
    waits = [asyncio.create_task(wait_for_hint(hint.ticket, 60, clock)) for _ in range(3)]
    await asyncio.sleep(0)
    hint.notify()

    await asyncio.wait_for(asyncio.gather(*waits), 1)


async def test_a_hint_between_looking_and_waiting_is_not_lost() -> None:
    hint = Hint()
    ticket = hint.ticket
    hint.notify()

    await asyncio.wait_for(wait_for_hint(ticket, 60, ManualClock()), 1)


async def test_without_a_hint_the_wait_ends_with_its_time() -> None:
    clock = ManualClock()
    wait = asyncio.create_task(wait_for_hint(Hint().ticket, 2.0, clock))
    await asyncio.sleep(0.01)
    clock.advance(1.9)
    await asyncio.sleep(0.01)
    assert not wait.done()
    clock.advance(0.1)

    await asyncio.wait_for(wait, 1)
