"""No kernel reads or writes beyond the memory that it was given: shown with pages without access."""

import signal
import subprocess
import sys


def _guarded(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.unit.collector.kernels.guard_pages", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_no_request_leads_the_kernels_beyond_its_memory() -> None:
    ended = _guarded("11", "3000")

    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "no step beyond" in ended.stdout


def test_the_guard_pages_kill_a_process_that_reads_one_byte_too_many() -> None:
    assert _guarded("11", "1", "break").returncode == -signal.SIGSEGV
