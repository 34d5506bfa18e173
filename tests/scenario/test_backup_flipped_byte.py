"""No damage to any file of a backup goes unseen: flipped, truncated, missing, or one too many."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.dr.model import Backup, BackupState, RestoreState
from services.dr.restores import NewRestore
from tests.scenario.dr_stack import REGION, DrStack, dr_stack

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.engines]

_SEED = 20_261_123


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DrStack]:
    """Engines with rows; histograms in wide parts, so that there is a file for each column too."""
    async with dr_stack(tmp_path_factory.mktemp("dr")) as made:
        await made.database.command("ALTER TABLE histograms MODIFY SETTING min_bytes_for_wide_part = 0")
        await made.database.command("OPTIMIZE TABLE histograms FINAL")
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backup(stack: DrStack) -> Backup:
    """One good backup; every test puts back what it damaged."""
    made = await stack.back_up(verify=True)
    assert made.state is BackupState.VERIFIED, made
    return made


def files_of(stack: DrStack, backup: Backup) -> list[Path]:
    """Every file of a backup, its manifest included."""
    found = sorted(
        path for path in (stack.backups_dir / REGION / backup.backup_id).rglob("*") if path.is_file()
    )
    assert len(found) > 100
    assert {path.name for path in found} >= {"manifest.json", ".backup", "data.bin", "checksums.txt"}
    return found


async def test_one_flipped_byte_in_any_file_is_never_verified(stack: DrStack, backup: Backup) -> None:
    rng = random.Random(_SEED)
    unseen = []
    for path in files_of(stack, backup):
        good = path.read_bytes()
        if not good:
            continue
        at = rng.randrange(len(good))
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << rng.randrange(8))]) + good[at + 1 :])
        verified = await stack.verify(backup)
        path.write_bytes(good)
        named = any(path.name in each.message for each in verified.differences)
        if verified.state is not BackupState.BROKEN or not named:
            unseen.append((path.name, at, verified.state))

    assert unseen == []
    assert (await stack.verify(backup)).state is BackupState.VERIFIED


async def test_a_truncated_file_breaks_it_and_is_named_with_its_table(stack: DrStack, backup: Backup) -> None:
    path = next(path for path in files_of(stack, backup) if path.match("*/points/*/data.bin"))
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    verified = await stack.verify(backup)
    path.write_bytes(good)

    assert verified.state is BackupState.BROKEN
    assert [each.table for each in verified.differences] == ["points"]
    assert f"{len(good) - 1} bytes instead of {len(good)}" in verified.differences[0].message


async def test_a_missing_file_and_one_too_many_break_it(stack: DrStack, backup: Backup) -> None:
    path = next(path for path in files_of(stack, backup) if path.match("*/series/*/checksums.txt"))
    away = path.with_name("checksums.old")
    path.rename(away)
    verified = await stack.verify(backup)
    away.rename(path)

    assert verified.state is BackupState.BROKEN
    messages = [each.message for each in verified.differences]
    assert any("checksums.txt is missing" in message for message in messages)
    assert any("checksums.old does not belong" in message for message in messages)


async def test_a_missing_manifest_breaks_it(stack: DrStack, backup: Backup) -> None:
    path = stack.backups_dir / REGION / backup.backup_id / "manifest.json"
    away = path.with_name("away")
    path.rename(away)
    verified = await stack.verify(backup)
    away.rename(path)

    assert verified.state is BackupState.BROKEN
    assert verified.failure is not None
    assert "MANIFEST_MISSING" in verified.failure.message


async def test_damage_after_the_verification_is_found_before_a_restore(
    stack: DrStack, backup: Backup
) -> None:
    assert (await stack.verify(backup)).state is BackupState.VERIFIED
    before = await stack.databases()
    path = next(path for path in files_of(stack, backup) if path.match("*/points/*/data.bin"))
    good = path.read_bytes()
    path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    restore = await stack.ended(await stack.parts.restores.start(NewRestore()))
    path.write_bytes(good)

    assert restore.state is RestoreState.FAILED
    assert restore.failure is not None
    assert restore.failure.reason == "CONTENT_DIFFERS"
    assert await stack.databases() == before
