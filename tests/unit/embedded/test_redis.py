"""The embedded Redis: its command line, and that the real one starts, bounded and diskless."""

import stat
from pathlib import Path

import pytest
import redis.asyncio

from services.common.clock import SystemClock
from services.common.errors import Unavailable
from services.embedded.redis import RedisServer, build_argv, wait_ready, write_config
from tests.engines_nats import EmbeddedRedis, free_port


def test_nothing_goes_to_disk_and_nobody_else_gets_in(tmp_path: Path) -> None:
    argv = build_argv(RedisServer(tmp_path, 6379))
    settings = dict(zip(argv[1::2], argv[2::2], strict=True))

    assert settings["--save"] == ""
    assert settings["--appendonly"] == "no"
    assert settings["--bind"] == "127.0.0.1"
    assert settings["--maxmemory"] == str(256 << 20)


def test_the_password_is_in_the_file_of_the_owner_only(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", 6379, password="geheim")
    write_config(server)

    assert server.config_path.read_text() == "requirepass geheim\n"
    assert stat.S_IMODE(server.config_path.stat().st_mode) == 0o600
    assert server.url == "redis://:geheim@127.0.0.1:6379/0"
    assert "geheim" not in " ".join(build_argv(server))
    assert "geheim" not in repr(server)


async def test_waiting_for_a_server_that_is_not_there_ends() -> None:
    with pytest.raises(Unavailable) as caught:
        await wait_ready(RedisServer(Path(), free_port()), SystemClock(), timeout_s=0.2)

    assert caught.value.reason == "REDIS_NOT_READY"


@pytest.mark.engines
async def test_the_real_server_takes_the_settings_and_starts_again_on_its_port(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis")
    await server.start()
    try:
        async with redis.asyncio.Redis.from_url(server.url) as client:
            await client.set("k", "v")
            assert (await client.config_get("save"))["save"] == ""
            assert (await client.config_get("maxmemory"))["maxmemory"] == str(256 << 20)
        await server.kill9()
        await server.start()
        async with redis.asyncio.Redis.from_url(server.url) as client:
            assert await client.get("k") is None
    finally:
        await server.stop()
