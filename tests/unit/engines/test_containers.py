"""Containers without a Docker engine: what is pinned, how a place becomes a URL, what is said without one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines_containers import IMAGES, NO_DOCKER, NoDocker, build, containers, nats_config
from tests.engines_given import GIVEN

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = "tcp://127.0.0.1:1"


def test_every_engine_has_one_image_with_a_version() -> None:
    assert tuple(image.variable for image in IMAGES) == GIVEN
    for image in IMAGES:
        assert re.fullmatch(r"[a-z/-]+:\d+\.[\w.-]+", image.name), image.name


def test_no_other_file_names_an_image() -> None:
    names = {image.name.partition(":")[0].rpartition("/")[2] + ":" for image in IMAGES}
    own = ROOT / "tests" / "engines_containers.py"
    pinned = re.compile("|".join(rf"\b{re.escape(name)}\d" for name in sorted(names)))
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in ("services", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if path != own and pinned.search(path.read_text(encoding="utf-8"))
    ]

    assert found == []


def test_where_docker_publishes_a_port_becomes_the_url() -> None:
    assert [image.url_at("192.0.2.7", 32768 + n) for n, image in enumerate(IMAGES)] == [
        "http://threenines:threenines@192.0.2.7:32768",
        "nats://192.0.2.7:32769",
        "redis://192.0.2.7:32770",
    ]


def test_the_log_in_a_container_syncs_every_message() -> None:
    config = nats_config()

    assert "sync_interval: always" in config
    assert 'listen: "0.0.0.0:4222"' in config


def test_a_container_is_built_from_its_image_with_its_port_and_login() -> None:
    # With the version of the interface given, building asks no Docker engine.
    built = [build(image, docker_client_kw={"version": "1.45"}) for image in IMAGES]

    assert [container.image for container in built] == [image.name for image in IMAGES]
    assert [set(container.ports) for container in built] == [{str(image.port)} for image in IMAGES]
    assert built[0].env["CLICKHOUSE_USER"] == built[0].env["CLICKHOUSE_PASSWORD"] == "threenines"
    for container in built:
        container.get_docker_client().client.close()


def test_without_docker_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)

    with pytest.raises(NoDocker, match="Docker does not answer"), containers({}):
        pass


def test_an_engine_that_is_given_needs_no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)

    with containers(dict.fromkeys(GIVEN, "somewhere")) as urls:
        assert urls == {}


@pytest.mark.parametrize(
    ("environ", "arguments", "message"),
    [
        ({"THREENINES_TEST_ENGINES": "containers", "DOCKER_HOST": NOWHERE}, [], f"ERROR: {NO_DOCKER}\n"),
        ({"THREENINES_TEST_ENGINES": "cluster"}, [], "embedded or containers, not 'cluster'"),
        (dict.fromkeys(GIVEN, "http://127.0.0.1:1"), ["-n", "2"], "ERROR: run without -n: "),
    ],
)
def test_a_run_that_cannot_be_ends_at_once_with_one_sentence(
    environ: dict[str, str], arguments: list[str], message: str
) -> None:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("THREENINES_", "PYTEST_"))
    }
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "tests/arch/test_rules.py", *arguments],
        cwd=ROOT,
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
