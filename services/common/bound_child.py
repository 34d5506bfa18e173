"""Run a command that cannot outlive its parent.

`python -I -S bound_child.py COMMAND...` asks the kernel to kill this process when the parent
dies, then becomes COMMAND. So `threenines up` leaves no process behind even when it is killed
with -9 itself. It is a program of its own because a hook between fork and exec
(`preexec_fn`) is not safe in a process that runs gRPC threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Bind to the parent, then exec `argv`."""
    if len(argv) < 2:
        sys.exit("bound_child: PARENT_PID COMMAND [ARGUMENT...]")
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before prctl took effect: then nobody would ever stop us.
    if os.getppid() != int(argv[0]):
        sys.exit("bound_child: the parent is gone already")
    os.execvp(argv[1], argv[1:])  # noqa: S606 - becoming the command is what this program is for


if __name__ == "__main__":
    main(sys.argv[1:])
