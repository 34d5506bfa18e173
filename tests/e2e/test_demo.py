"""The demonstration itself, as the README's first command runs it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.engines
@pytest.mark.timeout(300)
def test_the_demonstration_holds_in_every_figure(tmp_path: Path) -> None:
    """Real SDK, real engines: acknowledged = stored, the alert within a minute, a restore equal by hash."""
    argv = [sys.executable, "-m", "services.cli.main", "demo", "--healthy-seconds", "15"]
    argv += ["--report-dir", str(tmp_path)]
    run = subprocess.run(argv, capture_output=True, text=True, timeout=240)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "Everything holds." in run.stdout
    seconds = [float(found) for found in re.findall(r"([\d.]+) s from the first failed request", run.stdout)]
    assert len(seconds) == 2
    assert max(seconds) < 60
    assert run.stdout.count("equal") >= 3
    assert "DIFFERENT" not in run.stdout
    assert "VERIFIED" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr
    assert {file.suffix: file.read_bytes()[:5].upper() for file in tmp_path.iterdir()} == {
        ".html": b"<!DOC",
        ".pdf": b"%PDF-",
    }
