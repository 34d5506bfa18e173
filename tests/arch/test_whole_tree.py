"""Rules between files: every error has a status, every module is tested, every variable is written down."""

import ast
import builtins
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from services.common.grpc_errors import STATUS_BY_ERROR
from services.common.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "services").rglob("*.py"))
}
CONFIGURATION = ROOT / "docs" / "configuration.md"

# Errors that never reach a gRPC caller, each with why.
INTERNAL_ERRORS = {
    "CorruptRecord": "a stored record that cannot be read stops the writer; no caller waits for it",
    "Refused": "an OpenSLO document that is not read: told among the DocumentErrors of its file",
    "_Inexpressible": "an objective that an export leaves out: told in its list of omissions",
}
# Packages that serve no gRPC: their errors end in an exit code or an HTTP status.
WITHOUT_GRPC = ("services/embedded/", "services/cli/")


def error_classes() -> dict[str, tuple[str, list[str]]]:
    """Every class of the services by name: its file and the names of its bases."""
    found = {}
    for path, text in MODULES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                found[node.name] = (path, [ast.unparse(base).split(".")[-1] for base in node.bases])
    return found


def ancestors(name: str, classes: Mapping[str, tuple[str, list[str]]]) -> Iterator[str]:
    for base in classes[name][1] if name in classes else ():
        yield base
        yield from ancestors(base, classes)


def is_exception(name: str) -> bool:
    known = getattr(builtins, name, None)
    return isinstance(known, type) and issubclass(known, BaseException)


def test_every_leaf_error_has_a_status() -> None:
    """An AssertionError is a defect of ours by definition: INTERNAL is its right answer."""
    classes = error_classes()
    parents = {base for _, bases in classes.values() for base in bases}
    mapped = {each.__name__ for each in STATUS_BY_ERROR} | {"AssertionError"}
    unmapped = [
        f"{path}: {name}"
        for name, (path, _) in classes.items()
        if not path.startswith(WITHOUT_GRPC) and name not in parents and name not in INTERNAL_ERRORS
        if any(map(is_exception, line := [*ancestors(name, classes)])) and not mapped & {name, *line}
    ]

    assert unmapped == []


def test_the_list_of_internal_errors_holds_no_strangers() -> None:
    assert set(INTERNAL_ERRORS) <= set(error_classes())


def imports_of(text: str) -> set[str]:
    """Every module that a file imports, and every module that it starts with `-m`."""
    names = set(re.findall(r"[\"'](services(?:\.\w+)+)[\"']", text))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def finished_packages() -> list[str]:
    """A package counts as finished when its README says what it does; then it is held to this rule."""
    return sorted(
        path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "services").glob("*/README.md")
    )


def reached_from_tests() -> set[str]:
    """Modules that a test imports or starts, and whatever those import in their turn."""
    reached = set[str]()
    tests = [path for path in (ROOT / "tests").rglob("*.py") if "arch" not in path.parts]
    waiting = [name for path in tests for name in imports_of(path.read_text(encoding="utf-8"))]
    while waiting:
        name = waiting.pop()
        path = name.replace(".", "/") + ".py"
        if name not in reached and path in MODULES:
            reached.add(name)
            waiting += imports_of(MODULES[path])
    return reached


def test_no_module_of_a_finished_package_is_out_of_reach_of_the_tests() -> None:
    finished = tuple(f"{package}/" for package in finished_packages())
    expected = {dotted(path) for path in MODULES if path.startswith(finished) and "__init__" not in path}

    assert sorted(expected - reached_from_tests()) == []


def documented_variables() -> dict[str, str]:
    """The table of docs/configuration.md: variable -> default as written there."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|([^|]*)\|", text, re.MULTILINE)
    return {name: default.strip().strip("`") for name, default in rows}


class RecordingEnvironment(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, key, default=None):  # type: ignore[no-untyped-def, override]
        self.asked.add(key)
        return super().get(key, default)


def test_every_setting_is_in_the_table_and_nothing_else_of_ours_is_read() -> None:
    environment = RecordingEnvironment()
    Settings.from_env(environment)

    assert environment.asked <= set(documented_variables())


def test_the_defaults_in_the_table_are_the_defaults() -> None:
    environment = RecordingEnvironment()
    Settings.from_env(environment)
    written = {name: default for name, default in documented_variables().items() if name in environment.asked}

    assert Settings.from_env({name: default for name, default in written.items() if default}) == Settings()


def test_every_variable_named_in_code_is_written_down() -> None:
    readmes = {path.parent.name: path.read_text() for path in (ROOT / "services").glob("*/README.md")}
    undocumented = {
        f"{path}: {name}"
        for path, text in MODULES.items()
        for name in re.findall(r"\bTHREENINES_[A-Z0-9]+(?:_[A-Z0-9]+)*\b(?!_)", text)
        if name not in documented_variables() and name not in readmes.get(path.split("/")[1], "")
    }

    assert sorted(undocumented) == []


def test_nothing_names_the_place_where_it_was_written() -> None:
    # In pieces, so that this file passes its own rule.
    places = ["/wo" + "rk/main", "/wo" + "rk/shared", "/tmp/" + "spec", "issues " + "show", "bash_" + "jobs"]
    files = subprocess.run(
        ["git", "ls-files", "--cached", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    if files.returncode != 0:
        pytest.skip("not a git checkout")
    found = [
        f"{name}: {place}"
        for name in files.stdout.split("\0")
        if name and (ROOT / name).is_file()
        for place in places
        if place in (ROOT / name).read_text(encoding="utf-8", errors="replace")
    ]

    assert found == []
