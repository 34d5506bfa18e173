"""The embedded NATS server's configuration, as text; the running server is in tests/contract."""

import stat
from pathlib import Path

from services.embedded.nats import NatsServer, build_argv, render_config, write_config


def test_every_message_is_synced_and_the_disk_is_bounded(tmp_path: Path) -> None:
    config = render_config(NatsServer(tmp_path, 4222, 8222, max_file_bytes=123_456))

    assert "sync_interval: always" in config
    assert "max_file: 123456" in config
    assert "max_payload: 8388608" in config
    assert 'listen: "127.0.0.1:4222"' in config
    assert 'http: "127.0.0.1:8222"' in config
    assert "authorization" not in config


def test_a_path_with_quotes_stays_one_string(tmp_path: Path) -> None:
    config = render_config(NatsServer(tmp_path / 'a "b" } c', 1, 2))

    assert '/a \\"b\\" } c/store"' in config


def test_the_token_is_in_the_file_of_the_owner_only(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", 4222, 8222, token="geheim")
    path = write_config(server)

    assert 'authorization { token: "geheim" }' in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.url == "nats://geheim@127.0.0.1:4222"
    assert "geheim" not in " ".join(build_argv(server))
    assert "geheim" not in repr(server)
