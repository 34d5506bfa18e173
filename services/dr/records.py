"""Backups and restores as JSON, for the catalogue and its history. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.dr.model import (
    Backup,
    BackupState,
    Failure,
    LogPosition,
    Restore,
    RestoreState,
    TableContent,
    TableDifference,
    Trace,
)

RECORD_VERSION = 1


def encode(entry: Backup | Restore) -> bytes:
    """One entry of the catalogue."""
    return json.dumps({"version": RECORD_VERSION, **asdict(entry)}, sort_keys=True).encode()


def decode_backup(encoded: bytes) -> Backup:
    """The backup of an entry."""
    body = _common(encoded)
    body["state"] = BackupState(body["state"])
    body["positions"] = _positions(body["positions"])
    return Backup(**body)


def decode_restore(encoded: bytes) -> Restore:
    """The restore of an entry."""
    body = _common(encoded)
    body["state"] = RestoreState(body["state"])
    body["reached"] = _positions(body["reached"])
    return Restore(**body)


def _common(encoded: bytes) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encoded)
    del body["version"]
    body["tables"] = tuple(TableContent(**each) for each in body["tables"])
    body["differences"] = tuple(_difference(each) for each in body["differences"])
    body["failure"] = Failure(**body["failure"]) if body["failure"] else None
    body["traces"] = tuple(Trace(each) for each in body["traces"])
    return body


def _positions(encoded: list[dict[str, Any]]) -> tuple[LogPosition, ...]:
    return tuple(LogPosition(**each) for each in encoded)


def _difference(encoded: Mapping[str, Any]) -> TableDifference:
    expected, actual = encoded["expected"], encoded["actual"]
    return TableDifference(
        encoded["table"],
        encoded["message"],
        TableContent(**expected) if expected else None,
        TableContent(**actual) if actual else None,
    )
