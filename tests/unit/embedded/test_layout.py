"""The files of a data directory: who may read them."""

import stat
from pathlib import Path

from services.embedded.layout import DataDir, Ports, write_json_atomically
from services.embedded.plan import Platform, build_plan


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_directory_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir(mode=0o755)
    DataDir(root).prepare()

    assert mode(root) == 0o700


def test_what_runs_where_is_read_by_its_owner_only_since_urls_hold_credentials(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.with_suffix(".tmp").write_text("left by a crash, open to all")
    write_json_atomically(path, {"clickhouse": "http://default:secret@127.0.0.1:8123"})

    assert mode(path) == 0o600
    assert "left by a crash" not in path.read_text()


def test_no_engine_lets_anybody_in_and_no_command_line_shows_a_secret(tmp_path: Path) -> None:
    files = DataDir(tmp_path)
    files.prepare()
    plan = build_plan(Platform(), files, Ports.standard(), environ={})

    secrets = {files.nats_token(), files.redis_password(), files.clickhouse_password(), files.admin_token()}
    words = " ".join(word for spec in (*plan.engines, *plan.services) for word in spec.argv)
    assert not [secret for secret in secrets if secret in words]
    assert "@" in plan.connect["nats"]
    assert "@" in plan.connect["redis"]
    assert "@" in plan.connect["clickhouse"]
    assert files.nats_token() in (files.engine("nats") / "nats.conf").read_text()
    assert files.redis_password() in (files.engine("redis") / "redis.conf").read_text()
