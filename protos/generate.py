"""Writes protos/gen from protos/threenines, or (--check) says which generated files differ.

It exists so that the generated code can be committed and never drift. It knows protoc and its
plugins only, nothing about what the contracts say.
"""

import argparse
import os
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
GENERATED = PROTOS / "gen"
PLUGINS = ("python", "grpc_python", "mypy", "mypy_grpc")


def sources(protos: Path = PROTOS) -> list[str]:
    """Paths of all contracts relative to `protos`, sorted, with forward slashes."""
    return sorted(path.relative_to(protos).as_posix() for path in (protos / "threenines").rglob("*.proto"))


def run_protoc(arguments: list[str]) -> None:
    """Run protoc over all contracts with `arguments`; raises SystemExit with its status when it fails."""
    include = resources.files("grpc_tools") / "_proto"
    # protoc finds the mypy plugins on PATH; they sit beside the interpreter that runs this file.
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])  # noqa: TID251
    status = protoc.main(["protoc", f"-I{PROTOS}", f"-I{include}", *arguments, *sources()])
    if status != 0:
        raise SystemExit(status)


def generate(target: Path) -> None:
    """Write the Python modules, stubs and their types under `target`, which must exist."""
    run_protoc([f"--{plugin}_out={target}" for plugin in PLUGINS])


def contents(root: Path) -> dict[str, bytes]:
    """Path relative to `root` -> bytes, for every generated file under it."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix in {".py", ".pyi"}
    }


def drift(committed: Path = GENERATED) -> list[str]:
    """Names of files in which `committed` differs from a fresh generation; empty when there is none."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = contents(Path(scratch))
    old = contents(committed)
    return sorted(name for name in fresh.keys() | old.keys() if fresh.get(name) != old.get(name))


def main(arguments: list[str]) -> int:
    """Return 0, or 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description="Generate protos/gen from protos/threenines.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 naming files that differ")
    if parser.parse_args(arguments).check:
        differing = drift()
        for name in differing:
            sys.stderr.write(f"protos/gen/{name} is not what the contracts say; run `make protos`\n")
        return 1 if differing else 0
    # A file whose contract is gone must go too; the new tree is complete before the old one is removed.
    with tempfile.TemporaryDirectory(dir=PROTOS) as scratch:
        generate(Path(scratch))
        shutil.rmtree(GENERATED, ignore_errors=True)
        shutil.copytree(scratch, GENERATED)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
