"""A laptop's services report to their own collector, safely, and only where nobody chose otherwise."""

import stat
from pathlib import Path
from urllib.parse import unquote

import pytest

from services.embedded.layout import DataDir, Ports
from services.embedded.own_metrics import own_metrics_wanted
from services.embedded.plan import Platform, build_plan

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"


def test_every_service_and_no_engine_gets_the_endpoint_and_the_token(tmp_path: Path) -> None:
    files = DataDir(tmp_path)
    files.prepare()
    plan = build_plan(Platform(), files, Ports.standard(), environ={})

    for service in plan.services:
        assert service.env[_ENDPOINT] == f"http://{plan.connect['otlp']}"
        assert unquote(service.env[_HEADERS]) == f"authorization=Bearer {files.own_metrics_token()}"
        assert service.env["OTEL_METRIC_EXPORT_INTERVAL"] == "10000"
    assert not any(_HEADERS in engine.env for engine in plan.engines)
    assert stat.S_IMODE(files.own_metrics_token_file.stat().st_mode) == 0o600
    assert files.own_metrics_token() != files.admin_token()


@pytest.mark.parametrize(
    ("auth", "environ"),
    [
        ("none", {}),
        ("token", {_ENDPOINT: "http://elsewhere:4317"}),
        ("token", {"THREENINES_TLS_CERT_FILE": "/cert.pem"}),
    ],
)
def test_nothing_is_sent_where_it_cannot_or_should_not(auth: str, environ: dict[str, str]) -> None:
    assert own_metrics_wanted({}, auth="token")
    assert not own_metrics_wanted(environ, auth=auth)


def test_an_endpoint_that_somebody_chose_stays(tmp_path: Path) -> None:
    files = DataDir(tmp_path)
    files.prepare()
    plan = build_plan(
        Platform(), files, Ports.standard(), environ={_ENDPOINT: "http://mine:4317", _HEADERS: "x=y"}
    )

    assert {(one.env[_ENDPOINT], one.env[_HEADERS]) for one in plan.services} == {("http://mine:4317", "x=y")}
