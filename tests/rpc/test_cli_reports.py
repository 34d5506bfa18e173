"""`threenines sla report` and `sla maintenance` as somebody types them, against a real server."""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rpc.sla_service import Service, contract_of, running
from tests.rpc.test_sla_reports import Service as ReportService
from tests.rpc.test_sla_reports import service as report_service
from tests.unit.sla.reports.examples import flawless_month

__all__ = ["report_service"]
_MONTH = ("sla", "report", "acme", "--month", "2026-10")
_STARTS = {"html": b"<!doctype html>", "pdf": b"%PDF-", "csv": b"section,", "json": b"{"}


@dataclass
class Shell:
    """A directory to type in, with a credential; no browser unless a test puts one there."""

    place: Path
    address: str
    token: str
    browser: str = "false"

    async def __call__(self, *words: str) -> tuple[int, str, str]:
        """(exit code, what was printed, what was said of errors)."""
        env = {
            "PATH": str(self.place / "nothing-here"),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(self.place),
            "COLUMNS": "160",
            "BROWSER": self.browser,
            "THREENINES_SLA_ADDRESS": self.address,
            "THREENINES_TOKEN": self.token,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.cli.main", *words),
            cwd=self.place,
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, said = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, printed.decode(), said.decode()


@pytest.fixture
def shell(report_service: ReportService, tmp_path: Path) -> Shell:
    return Shell(tmp_path, report_service.address, report_service.tokens["operator"])


async def test_every_format_of_one_revision_is_written_at_once(shell: Shell) -> None:
    code, printed, _ = await shell(*_MONTH, *(word for one in _STARTS for word in ("--format", one)))

    assert code == 3
    for name, start in _STARTS.items():
        assert (
            (shell.place / f"acme-month-2026-10-gold-r1.{name}")
            .read_bytes()
            .lower()
            .startswith(start.lower())
        )
        assert f"Written to acme-month-2026-10-gold-r1.{name}" in printed
    assert len(list(shell.place.iterdir())) == 4


async def test_without_a_browser_the_file_is_named(shell: Shell) -> None:
    code, _, said = await shell(*_MONTH, "--open", "--out", "october.html")

    assert (code, said.strip()) == (3, "There is no browser here; open october.html yourself.")
    assert (shell.place / "october.html").exists()


async def test_a_browser_gets_the_file(shell: Shell) -> None:
    browser = shell.place / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {shell.place}/opened\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    shell.browser = f"{browser} %s"

    code, _, said = await shell(*_MONTH, "--open")

    assert (code, said.strip()) == (3, "")
    opened = (shell.place / "opened").read_text()
    assert opened == (shell.place / "acme-month-2026-10-gold-r1.html").as_uri()


async def test_a_promise_that_was_kept_ends_with_0(shell: Shell, report_service: ReportService) -> None:
    report_service.office.figures.now = flawless_month()

    assert (await shell(*_MONTH, "--out", "x.html"))[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--out", "none/x.html"), 1, "none/x.html cannot be written: No such file or directory"),
        (("--out", "x", "--format", "pdf", "--format", "csv"), 2, "must be a directory for several"),
        (("--contract", "silver"), 2, "must be one of gold"),
        (("--quarter", "2026-Q4"), 2, "give one of"),
    ],
)
async def test_what_does_not_go_is_told_without_a_traceback(
    shell: Shell, words: tuple[str, ...], code: int, told: str
) -> None:
    found, printed, said = await shell(*_MONTH, *words)

    assert found == code
    assert told in " ".join(said.split())
    assert "Traceback" not in printed + said


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running(contract_of("acme")) as found:
        yield found


async def test_maintenance_is_a_part_of_sla_too(service: Service, tmp_path: Path) -> None:
    operator = Shell(tmp_path, service.address, service.tokens["operator"])
    night = ("--from", "2027-01-10 02:00", "--for", "2h", "--zone", "Europe/Berlin", "--id", "night")

    made = await operator(
        *("sla", "maintenance", "create", "acme", *night, "--reason", "New disks", "-o", "json")
    )
    listed = await operator("maintenance", "list", "acme")

    assert made[0] == listed[0] == 0, (made, listed)
    assert '"reason": "New disks"' in made[1]
    assert "night" in listed[1]
