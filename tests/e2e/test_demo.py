"""The demonstration itself, as the README's first command runs it."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest


@contextmanager
def demonstration(said: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running demonstration; whatever happens, neither it nor its platform stays behind."""
    argv = [sys.executable, "-m", "services.cli.main", "demo", *arguments]
    with said.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out)
    try:
        yield process
    finally:
        interrupt(process)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Have it clean up by Ctrl-C, twice: in a blocking call asyncio heeds only the second. Else by force."""
    for _ in range(2):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.kill()
        process.wait()


@pytest.mark.engines
@pytest.mark.timeout(600)
def test_the_demonstration_holds_in_every_figure(tmp_path: Path) -> None:
    """Real SDK, real engines: acknowledged = stored, the alert within a minute, a restore equal by hash."""
    said, reports = tmp_path / "said", tmp_path / "reports"
    with demonstration(said, "--healthy-seconds", "15", "--report-dir", str(reports)) as process:
        try:
            code = process.wait(540)
        except subprocess.TimeoutExpired:
            pytest.fail(f"not done after 540 s:\n{said.read_text()}")

    text = said.read_text()
    assert code == 0, text
    assert "Everything holds." in text
    seconds = [float(found) for found in re.findall(r"([\d.]+) s from the first failed request", text)]
    assert len(seconds) == 2
    assert max(seconds) < 60
    assert text.count("equal") >= 3
    assert "DIFFERENT" not in text
    assert "VERIFIED" in text
    assert "Traceback" not in text
    assert {file.suffix: file.read_bytes()[:5].upper() for file in reports.iterdir()} == {
        ".html": b"<!DOC",
        ".pdf": b"%PDF-",
    }
