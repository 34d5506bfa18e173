"""Turns: in order, a little at once, and passes of the loop in between for whatever arrives."""

import asyncio

from services.collector.turns import Turns


async def test_turns_come_in_the_order_of_arrival_and_nobody_is_left() -> None:
    turns, order = Turns(), list[int]()

    async def work(number: int) -> None:
        await turns.take(1 << 20)
        order.append(number)

    await asyncio.gather(*(work(number) for number in range(50)))
    assert order == [*range(50)]


async def test_between_large_pieces_of_work_the_loop_has_time_for_others() -> None:
    turns, seen = Turns(passes=5), list[str]()

    async def work() -> None:
        await turns.take(1 << 20)
        seen.append("work")

    async def others() -> None:
        while seen.count("work") < 4:
            seen.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(4)), others())
    between = "".join("w" if one == "work" else "o" for one in seen).strip("o").split("w")[1:-1]
    assert all(len(passes) >= 5 for passes in between)


async def test_small_pieces_of_work_share_a_turn() -> None:
    turns, passes = Turns(passes=5, at_once_bytes=100), 0

    async def count() -> None:
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await asyncio.gather(*(turns.take(10) for _ in range(20)))
    counting.cancel()
    assert passes < 15


async def test_who_goes_away_costs_no_turn() -> None:
    turns = Turns()
    gone = [asyncio.create_task(turns.take(1)) for _ in range(3)]
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    async with asyncio.timeout(1):
        await turns.take(1)
