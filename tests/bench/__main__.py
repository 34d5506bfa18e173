"""Runs the benchmarks: all of them, or those named (`python -m tests.bench decode`).

`--seconds N` shortens or lengthens those that run for a given time (`overload`, `soak`), `--millions N` makes
those of a given size smaller or larger (`series`).
Exits 3 and names each duty that is missed.
"""

import argparse
import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.bench.report import Row, missed, show

EXIT_MISSED = 3
_SIZES = ("seconds", "millions")


def names() -> list[str]:
    """The benchmarks that there are."""
    return sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def main(arguments: Sequence[str]) -> int:
    """Run, print, and say which duties are missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("names", nargs="*")
    for size in _SIZES:
        parser.add_argument(f"--{size}", type=float)
    options = parser.parse_args(arguments)
    wanted: list[str] = options.names
    console = Console(width=max(Console().width, 120))
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        console.print(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(names())}")
        return 2
    rows: list[Row] = []
    for name in wanted or names():
        module = importlib.import_module(f"tests.bench.bench_{name}")
        takes = inspect.signature(module.run).parameters
        given = {one: getattr(options, one) for one in _SIZES if one in takes and getattr(options, one)}
        found: list[Row] = module.run(**given)
        show((module.__doc__ or name).splitlines()[0], found, console)
        rows += found
    for row in missed(rows):
        console.print(f"MISSED: {row.what}: {row.value:,.4g} {row.unit}, duty {row.duty}")
    return EXIT_MISSED if missed(rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
