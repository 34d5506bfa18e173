"""The rules of the code that nobody should have to remember, each a function over one module.

A rule takes a module and yields complaints; `test_rules.py` applies all of them to the tree and
shows for each one a module that it refuses.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

MODULE_LINES = 400
TEST_LINES = 500
FUNCTION_LINES = 40
SERVICER_STATEMENTS = 3

# Lists of one line per entry, where a second function would only hide the end of the list.
LONG_LISTS = frozenset(
    {
        "services/common/settings.py:_read",
        "services/collector/assembly.py:__init__",
        "services/collector/write_series.py:_columns",
    }
)

JIT_HOMES = re.compile(r"services/\w+/kernels/_jit\.py")
CLOCK_HOME = "services/common/clock.py"
# The command line is where a person's environment enters; services take theirs in one place each.
ENVIRONMENT_HOMES = re.compile(r"services/(common/environment|\w+/config(_\w+)?|\w+/main|cli/[\w/]+)\.py")
VAGUE_NAMES = frozenset({"utils", "util", "helpers", "helper", "manager", "base", "misc", "common"})

_JIT_NAMES = frozenset({"njit", "jit", "vectorize", "guvectorize", "stencil", "cfunc"})
_CLOCK_CALLS = frozenset(
    {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
)
_SQL = re.compile(r"\b(SELECT|INSERT|WHERE|ALTER TABLE|DELETE FROM)\b")


@dataclass(frozen=True)
class Module:
    """One Python file of the repository, by its path from the root."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def ours(self) -> bool:
        """Hand-written code of a service, not a test."""
        return self.path.startswith("services/")


Rule = Callable[[Module], Iterator[str]]


def modules_stay_short(module: Module) -> Iterator[str]:
    limit = MODULE_LINES if module.ours else TEST_LINES
    lines = module.text.count("\n")
    if lines > limit:
        yield f"{module.path} has {lines} lines; the limit is {limit}"


def functions_stay_short(module: Module) -> Iterator[str]:
    """Lines of docstrings and of imports do not count."""
    for node in ast.walk(module.tree) if module.ours else ():
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = node.body[:1] if ast.get_docstring(node, clean=False) is not None else []
        imports = [each for each in ast.walk(node) if isinstance(each, ast.Import | ast.ImportFrom)]
        lines = _height(node) - sum(map(_height, [*docstring, *imports]))
        if lines > FUNCTION_LINES and f"{module.path}:{node.name}" not in LONG_LISTS:
            yield f"{module.path}:{node.lineno} {node.name} has {lines} lines; the limit is {FUNCTION_LINES}"


def names_say_something(module: Module) -> Iterator[str]:
    if PurePosixPath(module.path).stem in VAGUE_NAMES:
        yield f"{module.path}: name the file after what it does"


def modules_say_why_they_exist(module: Module) -> Iterator[str]:
    if module.ours and module.tree.body and not ast.get_docstring(module.tree):
        yield f"{module.path} has no docstring"


def only_the_jit_module_compiles(module: Module) -> Iterator[str]:
    if not module.ours or JIT_HOMES.fullmatch(module.path):
        return
    for node in ast.walk(module.tree):
        imported = isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numba"
        taken = {alias.name for alias in node.names} & _JIT_NAMES if imported else set()
        if isinstance(node, ast.Attribute) and _dotted(node).split(".")[0] in {"numba", "nb"}:
            taken |= {node.attr} & _JIT_NAMES
        if taken:
            yield f"{module.path}:{node.lineno} compiles with {taken.pop()}; kernels/_jit.py does that"


def only_configuration_reads_the_environment(module: Module) -> Iterator[str]:
    if not module.ours or ENVIRONMENT_HOMES.fullmatch(module.path):
        return
    for node, name in _names(module.tree):
        if name in {"os.environ", "os.getenv", "os.environb"}:
            yield f"{module.path}:{node.lineno} reads {name}; take a mapping or a Settings"


def only_the_clock_reads_the_time(module: Module) -> Iterator[str]:
    if not module.ours or module.path == CLOCK_HOME:
        return
    for node, name in _names(module.tree):
        if name in _CLOCK_CALLS or any(name.endswith(f".{call}") for call in _CLOCK_CALLS):
            yield f"{module.path}:{node.lineno} reads {name}; take a Clock"


def servicers_are_thin(module: Module) -> Iterator[str]:
    if not module.ours or not re.fullmatch(r"(\w+_)?servicer(_\w+)?\.py", PurePosixPath(module.path).name):
        return
    for owner in (node for node in module.tree.body if isinstance(node, ast.ClassDef)):
        for method in owner.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name != "__init__":
                yield from (f"{module.path}:{method.lineno} {owner.name}.{why}" for why in _not_thin(method))


def sql_binds_the_tenant(module: Module) -> Iterator[str]:
    if not module.ours:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            put_in = [ast.unparse(part) for part in node.values if isinstance(part, ast.FormattedValue)]
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"
        ):
            text = ast.unparse(node.func)
            put_in = [ast.unparse(each) for each in (*node.args, *node.keywords)]
        else:
            continue
        if _SQL.search(text) and any("tenant" in each.lower() for each in put_in):
            yield f"{module.path}:{node.lineno} puts the tenant into SQL text; bind {{tenant:String}}"


def no_test_mocks(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        source = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        if any("mock" in f"{source}.{name}".lower().split(".") for name in names) or "MagicMock" in names:
            yield f"{module.path}:{node.lineno} mocks; use a memory adapter or the real engine"


RULES: tuple[Rule, ...] = (
    modules_stay_short,
    functions_stay_short,
    names_say_something,
    modules_say_why_they_exist,
    only_the_jit_module_compiles,
    only_configuration_reads_the_environment,
    only_the_clock_reads_the_time,
    servicers_are_thin,
    sql_binds_the_tenant,
    no_test_mocks,
)


def _height(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _not_thin(method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    body = method.body[1:] if ast.get_docstring(method) else method.body
    if len(body) > SERVICER_STATEMENTS:
        yield f"{method.name} has {len(body)} statements; {SERVICER_STATEMENTS} are enough"
    for node in ast.walk(method):
        if isinstance(node, ast.Try | ast.TryStar):
            yield f"{method.name} catches; the interceptor does that"
        name = _dotted(node.func) if isinstance(node, ast.Call) else ""
        if name.split(".")[-1] in {"abort", "abort_with_status", "set_code"}:
            yield f"{method.name} calls {name}; raise an error instead"
        if re.match(r"(_?log|_?logger|logging)\.", name):
            yield f"{method.name} logs; the interceptor and the adapters do that"


def _names(tree: ast.Module) -> Iterator[tuple[ast.Attribute | ast.Name, str]]:
    """Every dotted name in use; names imported from os, time and datetime count with their module."""
    origin = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in {"os", "time", "datetime"}:
            for alias in node.names:
                origin[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            dotted = _dotted(node)
            first, dot, rest = dotted.partition(".")
            yield node, f"{origin.get(first, first)}{dot}{rest}"


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return ""
