"""Writes protos/gen from the contracts, or (--check) says which generated files differ.

It exists so that the generated code can be committed and never drift. It knows protoc and its
plugins only, nothing about what the contracts say.
"""

import argparse
import os
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]

PROTOS = Path(__file__).resolve().parent
PACKAGES = ("prometheus", "threenines")
"""Our own contracts, and those of others that no package on PyPI brings."""
OUTPUTS = ("--python_out=", "--grpc_python_out=", "--mypy_out=quiet:", "--mypy_grpc_out=quiet:")


def sources(protos: Path = PROTOS) -> list[str]:
    """Paths of all contracts relative to `protos`, sorted, with forward slashes."""
    found = (path for package in PACKAGES for path in (protos / package).rglob("*.proto"))
    return sorted(path.relative_to(protos).as_posix() for path in found)


def generate(target: Path) -> None:
    """Write modules, stubs and their types under `target`, which must exist.

    Raises SystemExit with protoc's status when it fails; protoc has then said why on stderr.
    """
    google = resources.files("grpc_tools") / "_proto"
    # protoc finds the mypy plugins on PATH; they sit beside the interpreter that runs this file.
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])  # noqa: TID251
    outputs = [f"{output}{target}" for output in OUTPUTS]
    status = protoc.main(["protoc", f"-I{PROTOS}", f"-I{google}", *outputs, *sources()])
    if status != 0:
        raise SystemExit(status)


def contents(root: Path) -> dict[str, bytes]:
    """Path relative to `root` -> bytes, for every generated file under it."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix in {".py", ".pyi"}
    }


def differences(target: Path) -> dict[str, bytes | None]:
    """Path -> what it should hold (None: should not exist), for files under `target` that differ."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = contents(Path(scratch))
    old = contents(target)
    return {name: fresh.get(name) for name in sorted(fresh.keys() | old) if fresh.get(name) != old.get(name)}


def write(target: Path, name: str, content: bytes | None) -> None:
    """Make one file under `target` hold `content`, or be gone when that is None."""
    path = target / name
    if content is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def main(arguments: list[str]) -> int:
    """Return 0, or 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description="Generate protos/gen from the contracts.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 naming what differs")
    parser.add_argument("--target", type=Path, default=PROTOS / "gen", help="where the generated code is")
    options = parser.parse_args(arguments)
    changes = differences(options.target)
    # Only files that differ are touched, so that a running program never finds the tree missing.
    for name, content in changes.items():
        if options.check:
            sys.stderr.write(f"{options.target / name} is not what the contracts say; run `make protos`\n")
        else:
            write(options.target, name, content)
    return 1 if options.check and changes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
