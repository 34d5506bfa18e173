"""`threenines warm`: compile the kernels now, so that no start waits for it."""

import typer

from services.cli import options
from services.common.clock import SystemClock


def register(app: typer.Typer) -> None:
    """Add the command to the root command."""
    app.command("warm")(warm)


def warm() -> None:
    """Compile the kernels into the cache; a minute the first time, a second later on."""
    # Not at the top: every other command would pay for importing Numba.
    from services.collector import kernels as collector_kernels
    from services.sla import kernels as sla_kernels

    clock = SystemClock()
    for name, kernels in (("decoding", collector_kernels), ("slicing", sla_kernels)):
        begun_ns = clock.monotonic_ns()
        with options.console.status(f"Kernels of {name} ..."):
            kernels.warm()
        seconds = (clock.monotonic_ns() - begun_ns) / 1e9
        options.console.print(f"Kernels of {name}: ready after {seconds:.1f} s.", highlight=False)
