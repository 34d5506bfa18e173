"""What every key-value store must do; the same tests run in memory and on JetStream."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.common.clock import Clock, SystemClock
from services.common.errors import Aborted, AlreadyExists, InvalidArgument
from services.common.log import KeyValue, KvChange
from services.common.log_memory import MemoryEngine
from tests.engines_nats import nats_engine

BUCKET = "control"
pytestmark = pytest.mark.asyncio(loop_scope="module")
_names = itertools.count()


@pytest.fixture(scope="module", params=["memory", pytest.param("nats", marks=pytest.mark.engines)])
def adapter(request: pytest.FixtureRequest) -> str:
    """Which adapter is under test."""
    return str(request.param)


@pytest.fixture(scope="module")
def clock(adapter: str) -> Clock:
    """What the adapter under test takes its time from."""
    return SystemClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kv(adapter: str, clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KeyValue]:
    """One store for the module; every test uses keys of its own."""
    if adapter == "memory":
        yield MemoryEngine(clock).kv
    else:
        async with nats_engine(tmp_path_factory.mktemp("nats")) as engine:
            yield engine.kv


@pytest.fixture
def key() -> str:
    """A key that no other test has, also not of an earlier run."""
    return f"k{SystemClock().now_ns()}.{next(_names)}"


async def test_a_key_that_was_never_written_is_none(kv: KeyValue, key: str) -> None:
    assert await kv.get(BUCKET, key) is None


async def test_create_then_get(kv: KeyValue, key: str) -> None:
    revision = await kv.create(BUCKET, key, b"one")

    entry = await kv.get(BUCKET, key)
    assert entry is not None
    assert (entry.value, entry.revision, entry.key) == (b"one", revision, key)


async def test_create_of_an_existing_key_is_refused(kv: KeyValue, key: str) -> None:
    await kv.create(BUCKET, key, b"one")

    with pytest.raises(AlreadyExists) as caught:
        await kv.create(BUCKET, key, b"two")

    assert caught.value.reason == "KEY_EXISTS"
    entry = await kv.get(BUCKET, key)
    assert entry is not None
    assert entry.value == b"one"


async def test_create_after_delete_works_and_the_revision_rises(kv: KeyValue, key: str) -> None:
    first = await kv.create(BUCKET, key, b"one")
    await kv.delete(BUCKET, key)
    assert await kv.get(BUCKET, key) is None

    assert await kv.create(BUCKET, key, b"two") > first


async def test_update_needs_the_current_revision(kv: KeyValue, key: str) -> None:
    first = await kv.create(BUCKET, key, b"one")
    second = await kv.update(BUCKET, key, b"two", revision=first)
    assert second > first

    with pytest.raises(Aborted) as caught:
        await kv.update(BUCKET, key, b"three", revision=first)

    assert caught.value.reason == "FENCED"
    entry = await kv.get(BUCKET, key)
    assert entry is not None
    assert (entry.value, entry.revision) == (b"two", second)


async def test_update_of_a_deleted_key_is_refused(kv: KeyValue, key: str) -> None:
    first = await kv.create(BUCKET, key, b"one")
    await kv.delete(BUCKET, key)

    with pytest.raises(Aborted):
        await kv.update(BUCKET, key, b"two", revision=first)


async def test_of_racing_updates_one_wins(kv: KeyValue, key: str) -> None:
    first = await kv.create(BUCKET, key, b"")
    results = await asyncio.gather(
        *(kv.update(BUCKET, key, b"%d" % n, revision=first) for n in range(20)), return_exceptions=True
    )

    winners = [n for n, result in enumerate(results) if not isinstance(result, Aborted)]
    assert len(winners) == 1
    entry = await kv.get(BUCKET, key)
    assert entry is not None
    assert entry.value == b"%d" % winners[0]


async def test_put_writes_whatever_was_there(kv: KeyValue, key: str) -> None:
    first = await kv.put(BUCKET, key, b"one")
    second = await kv.put(BUCKET, key, b"two")

    assert second > first
    entry = await kv.get(BUCKET, key)
    assert entry is not None
    assert entry.value == b"two"


async def test_equal_writes_are_two_writes(kv: KeyValue, key: str) -> None:
    """Deduplication is for our own retries, never for two calls that say the same."""
    assert await kv.put(BUCKET, key, b"same") < await kv.put(BUCKET, key, b"same")


async def test_delete_of_another_revision_is_refused(kv: KeyValue, key: str) -> None:
    first = await kv.put(BUCKET, key, b"one")
    await kv.put(BUCKET, key, b"two")

    with pytest.raises(Aborted):
        await kv.delete(BUCKET, key, revision=first)

    assert await kv.get(BUCKET, key) is not None


async def test_delete_of_a_missing_key_does_nothing(kv: KeyValue, key: str) -> None:
    await kv.delete(BUCKET, key)

    assert await kv.get(BUCKET, key) is None


async def test_keys_start_with_the_prefix_and_are_not_deleted(kv: KeyValue, key: str) -> None:
    for name in ("b", "a", "gone"):
        await kv.put(BUCKET, f"{key}.{name}", b"x")
    await kv.put(BUCKET, f"not.{key}.c", b"x")
    await kv.delete(BUCKET, f"{key}.gone")

    assert await kv.keys(BUCKET, f"{key}.") == [f"{key}.a", f"{key}.b"]


async def test_more_keys_than_one_page(kv: KeyValue, key: str) -> None:
    names = [f"{key}.{n:04d}" for n in range(1203)]
    await asyncio.gather(*(kv.put(BUCKET, name, b"") for name in names))

    assert await kv.keys(BUCKET, f"{key}.") == names


async def test_a_key_with_time_to_live_disappears_and_can_be_created_again(
    clock: Clock, kv: KeyValue, key: str
) -> None:
    await kv.create(BUCKET, f"{key}.longer", b"one", ttl_s=60)
    with pytest.raises(AlreadyExists):
        await kv.create(BUCKET, f"{key}.longer", b"two", ttl_s=60)
    first = await kv.create(BUCKET, key, b"one", ttl_s=1)
    await _expired(clock, kv, key)

    assert await kv.get(BUCKET, f"{key}.longer") is not None
    assert key not in await kv.keys(BUCKET)
    with pytest.raises(Aborted):
        await kv.update(BUCKET, key, b"late", revision=first, ttl_s=1)
    assert await kv.create(BUCKET, key, b"two") > first


async def test_an_update_with_time_to_live_starts_it_anew(clock: Clock, kv: KeyValue, key: str) -> None:
    # Two keys, so that every moment has seconds to spare: one outlives the time it was created with ...
    longer, shorter = f"{key}.longer", f"{key}.shorter"
    revision = await kv.create(BUCKET, longer, b"one", ttl_s=4)
    await kv.update(BUCKET, longer, b"two", revision=revision, ttl_s=60)
    revision = await kv.create(BUCKET, shorter, b"one", ttl_s=60)
    await clock.sleep(5.5)
    assert await kv.get(BUCKET, longer) is not None

    # ... and one, older than its new time to live, has that from now on, and no longer.
    await kv.update(BUCKET, shorter, b"two", revision=revision, ttl_s=4)
    await clock.sleep(1.0)
    assert await kv.get(BUCKET, shorter) is not None
    await _expired(clock, kv, shorter)


async def _expired(clock: Clock, kv: KeyValue, key: str) -> None:
    """Return when the key is gone: soon after a time to live of seconds, and never without one."""
    async with asyncio.timeout(30):
        while await kv.get(BUCKET, key) is not None:
            await clock.sleep(0.1)


async def test_a_watch_shows_what_is_there_and_then_every_change(kv: KeyValue, key: str) -> None:
    await kv.put(BUCKET, f"{key}.a", b"1")
    watch = aiter(kv.watch(BUCKET, f"{key}."))
    assert await asyncio.wait_for(anext(watch), 30) == KvChange(f"{key}.a", b"1", _any_revision())

    await kv.put(BUCKET, f"other.{key}", b"-")
    await kv.put(BUCKET, f"{key}.b", b"2")
    assert await asyncio.wait_for(anext(watch), 30) == KvChange(f"{key}.b", b"2", _any_revision())
    await kv.delete(BUCKET, f"{key}.a")
    assert await asyncio.wait_for(anext(watch), 30) == KvChange(f"{key}.a", None, _any_revision())


@pytest.mark.parametrize("bad", ["", ".a", "a.", "a..b", "a b", "a*", "a>", "a\r\nb", "ü"])
async def test_what_is_no_key_is_refused(kv: KeyValue, bad: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await kv.put(BUCKET, bad, b"x")

    assert caught.value.reason == "BAD_KEY"


class _Any(int):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, int)

    __hash__ = int.__hash__


def _any_revision() -> int:
    return _Any()
