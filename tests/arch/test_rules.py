"""The rules of `code_rules.py` hold for the whole tree, and each of them bites."""

from pathlib import Path

import pytest

from tests.arch.code_rules import (
    FUNCTION_LINES,
    MODULE_LINES,
    RULES,
    Module,
    Rule,
    functions_stay_short,
    modules_say_why_they_exist,
    modules_stay_short,
    names_say_something,
    no_test_mocks,
    only_configuration_reads_the_environment,
    only_the_clock_reads_the_time,
    only_the_jit_module_compiles,
    servicers_are_thin,
    sql_binds_the_tenant,
)

ROOT = Path(__file__).resolve().parents[2]
TREE = [
    Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    for folder in ("services", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
]

KERNEL = "services/sla/kernels/burn.py"
USE_CASE = "services/sla/slice.py"
STORE = "services/sla/store.py"
EDGE = "services/sla/servicer.py"
SERVICER = '''"""Edge."""
class SlaServicer(Base):
    async def GetUptime(self, request, context):
        {body}
'''

REFUSED = [
    (modules_stay_short, "services/sla/long.py", '"""Long."""\n' + "x = 1\n" * MODULE_LINES),
    (functions_stay_short, USE_CASE, "def f():\n" + "    x = 1\n" * FUNCTION_LINES),
    (names_say_something, "services/sla/utils.py", '"""Things."""\n'),
    (modules_say_why_they_exist, "services/sla/silent.py", "x = 1\n"),
    (only_the_jit_module_compiles, KERNEL, "from numba import njit\n"),
    (
        only_the_jit_module_compiles,
        KERNEL,
        "import numba\n@numba.njit\ndef f(): ...\n",
    ),
    (only_configuration_reads_the_environment, USE_CASE, "import os\nx = os.environ['X']\n"),
    (
        only_configuration_reads_the_environment,
        USE_CASE,
        "from os import getenv\nx = getenv('X')\n",
    ),
    (only_the_clock_reads_the_time, USE_CASE, "import time\nx = time.time_ns()\n"),
    (only_the_clock_reads_the_time, USE_CASE, "from time import time\nx = time()\n"),
    (
        only_the_clock_reads_the_time,
        USE_CASE,
        "import datetime\nx = datetime.datetime.now()\n",
    ),
    (
        only_the_clock_reads_the_time,
        USE_CASE,
        "from datetime import datetime as d\nx = d.now()\n",
    ),
    (servicers_are_thin, EDGE, SERVICER.format(body="a = 1; b = 2; c = 3; return c")),
    (servicers_are_thin, EDGE, SERVICER.format(body="await context.abort(code)")),
    (servicers_are_thin, EDGE, SERVICER.format(body="_log.info('called')")),
    (
        servicers_are_thin,
        EDGE,
        SERVICER.format(body="try: pass\n        except E: pass"),
    ),
    (sql_binds_the_tenant, STORE, "q = f\"SELECT 1 WHERE tenant = '{tenant}'\"\n"),
    (sql_binds_the_tenant, STORE, "q = f'SELECT 1 WHERE t = {request.tenant_id!r}'\n"),
    (sql_binds_the_tenant, STORE, "q = 'SELECT {t}'.format(t=tenant)\n"),
    (no_test_mocks, "tests/unit/test_x.py", "from unittest import mock\n"),
    (no_test_mocks, "tests/unit/test_x.py", "from unittest.mock import patch\n"),
]

ALLOWED = [
    (functions_stay_short, USE_CASE, 'def f():\n    """Why."""\n' + "    x = 1\n" * (FUNCTION_LINES - 1)),
    (only_the_jit_module_compiles, "services/sla/kernels/_jit.py", "import numba\njit = numba.njit()\n"),
    (
        only_the_jit_module_compiles,
        KERNEL,
        "from services.sla.kernels._jit import jit\n",
    ),
    (only_configuration_reads_the_environment, "services/sla/config.py", "import os\nx = os.environ\n"),
    (only_configuration_reads_the_environment, "tests/unit/test_x.py", "import os\nx = os.environ\n"),
    (only_the_clock_reads_the_time, "services/common/clock.py", "import time\nx = time.time_ns()\n"),
    (only_the_clock_reads_the_time, USE_CASE, "x = self.clock.now_ns()\n"),
    (servicers_are_thin, EDGE, SERVICER.format(body="a = 1; b = 2; return b")),
    (
        sql_binds_the_tenant,
        STORE,
        "q = f'SELECT 1 FROM {table} WHERE t = {{tenant:String}}'\n",
    ),
    (sql_binds_the_tenant, STORE, "text = f'no contract of {tenant}'\n"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    assert [complaint for module in TREE for complaint in rule(module)] == []


@pytest.mark.parametrize(("rule", "path", "text"), REFUSED)
def test_the_rule_bites(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Module(path, text)))


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_the_rule_lets_through_what_is_meant(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Module(path, text))) == []


def test_every_rule_is_shown_to_bite() -> None:
    assert set(RULES) == {rule for rule, _, _ in REFUSED}
