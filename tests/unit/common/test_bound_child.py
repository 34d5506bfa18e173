"""A command that cannot outlive its parent."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from services.common import bound_child

_SCRIPT = str(Path(bound_child.__file__))


def test_it_becomes_the_command() -> None:
    argv = [sys.executable, "-I", "-S", _SCRIPT, str(os.getpid()), "echo", "it is me"]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=20).stdout == "it is me\n"


def test_without_a_command_it_says_its_usage() -> None:
    with pytest.raises(SystemExit, match="PARENT_PID COMMAND"):
        bound_child.main(["1"])


def test_it_does_not_start_for_a_parent_that_is_gone() -> None:
    with pytest.raises(SystemExit, match="gone already"):
        bound_child.main([str(os.getppid() + 100_000), "echo"])


def test_it_dies_with_a_parent_that_is_killed() -> None:
    """The parent starts a bound `sleep`, says its pid and is killed with -9."""
    code = (
        "import os, subprocess, sys, time;"
        f"argv = [sys.executable, '-I', '-S', {_SCRIPT!r}, str(os.getpid()), 'sleep', '60'];"
        "child = subprocess.Popen(argv);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + 20
    while psutil.Process(child).name() != "sleep":
        assert time.monotonic() < deadline
        time.sleep(0.02)

    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
