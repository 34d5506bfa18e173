"""ClickHouse, NATS and Redis in containers, for `make test-containers`; they end as URLs like given servers.

The images are pinned here and nowhere else: the versions that the embedded engines have, so that a
difference between the two runs is a difference of the server and not of its release.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.embedded.nats import NatsServer, render_config
from tests.engines_given import CLICKHOUSE_URL, NATS_URL, REDIS_URL

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

CLICKHOUSE_PORT, NATS_PORT, REDIS_PORT = 8123, 4222, 6379
NO_DOCKER = (
    "Docker does not answer, so there are no containers to test against: start it, or name running servers"
    f" with {CLICKHOUSE_URL}, {NATS_URL} and {REDIS_URL}"
)

_LOGIN = ("threenines", "threenines")
_NATS_CONFIG = "/etc/threenines-nats.conf"
_START_S = 120


class NoDocker(Exception):
    """No Docker engine answers on this machine."""


@dataclass(frozen=True, slots=True)
class Image:
    """One engine: the image, the port that it serves inside, and the URL that tests get."""

    variable: str
    name: str
    port: int
    url: str

    def url_at(self, host: str, port: int) -> str:
        """The URL for the place where Docker publishes the port."""
        return self.url.format(host=host, port=port)


IMAGES = (
    Image(
        CLICKHOUSE_URL,
        "clickhouse/clickhouse-server:26.9",
        CLICKHOUSE_PORT,
        f"http://{_LOGIN[0]}:{_LOGIN[1]}@{{host}}:{{port}}",
    ),
    Image(NATS_URL, "nats:2.15.1-alpine", NATS_PORT, "nats://{host}:{port}"),
    Image(REDIS_URL, "redis:6.2-alpine", REDIS_PORT, "redis://{host}:{port}"),
)


@contextlib.contextmanager
def containers(given: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Start every engine that no variable of `given` names; yields the variables for tests.

    Raises:
        NoDocker: no Docker engine answers.
    """
    # Only here: an installation without the extra `containers` runs every other test.
    from docker.errors import DockerException

    with contextlib.ExitStack() as stack:
        urls = {}
        for image in IMAGES:
            if given.get(image.variable):
                continue
            try:
                container = build(image)
            except DockerException as err:
                raise NoDocker(NO_DOCKER) from err
            stack.enter_context(container)
            host = container.get_container_host_ip()
            urls[image.variable] = image.url_at(host, int(container.get_exposed_port(image.port)))
        yield urls


def build(image: Image, **docker: Any) -> DockerContainer:
    """The container of one engine, not started; asks Docker for its version already."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

    container = DockerContainer(image.name, **docker).with_exposed_ports(image.port)
    match image.variable:
        case "THREENINES_TEST_CLICKHOUSE_URL":
            user, password = _LOGIN
            # Only a user of the environment may come from outside of the container.
            container.with_envs(CLICKHOUSE_USER=user, CLICKHOUSE_PASSWORD=password)
            container.with_env("CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT", "1")
            ready: Any = HttpWaitStrategy(image.port, "/ping")
        case "THREENINES_TEST_NATS_URL":
            container.with_copy_into_container(nats_config().encode(), _NATS_CONFIG)
            container.with_command(["--config", _NATS_CONFIG])
            ready = LogMessageWaitStrategy("Server is ready")
        case _:
            container.with_command(["redis-server", "--save", "", "--appendonly", "no"])
            ready = LogMessageWaitStrategy("Ready to accept connections")
    return container.waiting_for(ready.with_startup_timeout(_START_S))


def nats_config() -> str:
    """The configuration of the product's own server: JetStream that syncs every message."""
    return render_config(NatsServer(Path("/data"), NATS_PORT, 8222, host="0.0.0.0"))
