"""Options, the lock on the data directory and the engine's configuration file."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from services.embedded.clickhouse_config import (
    EXIT_BAD_OPTIONS,
    EXIT_DATA_DIR_IN_USE,
    StartError,
    lock_data_dir,
    parse_options,
    write_atomically,
    write_config,
)


def test_the_password_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    options = parse_options(["--data-dir", str(tmp_path), "--password-file", str(tmp_path / "secret")])
    assert options.password == "s3cret"
    assert "s3cret" not in repr(options)


def test_a_password_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="password file") as caught:
        parse_options(["--data-dir", str(tmp_path), "--password-file", str(tmp_path / "missing")])
    assert caught.value.exit_code == EXIT_BAD_OPTIONS


def test_a_directory_is_locked_once_and_names_its_holder(tmp_path: Path) -> None:
    lock = lock_data_dir(tmp_path / "new")
    with pytest.raises(StartError, match=rf"pid {os.getpid()}\b") as caught:
        lock_data_dir(tmp_path / "new")
    assert caught.value.exit_code == EXIT_DATA_DIR_IN_USE
    lock.close()
    lock_data_dir(tmp_path / "new").close()


def test_backups_are_allowed_in_one_directory_only(tmp_path: Path) -> None:
    odd = tmp_path / "back & up"
    options = parse_options(["--data-dir", str(tmp_path / "data"), "--backups-dir", str(odd)])
    options.data_dir.mkdir()
    config = ET.parse(write_config(options)).getroot()
    assert config.findtext("backups/allowed_path") == f"{odd}/"
    assert config.findtext("storage_configuration/disks/backups/path") == f"{odd}/"
    assert odd.is_dir()


def test_files_appear_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ready", "8123\n")
    assert [path.name for path in tmp_path.iterdir()] == ["ready"]
    assert (tmp_path / "ready").read_text() == "8123\n"
