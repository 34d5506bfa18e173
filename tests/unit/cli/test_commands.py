"""The command line as a person without a running platform meets it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from services.cli.commands.config import apply_files
from services.cli.commands.sla import check_promised, rows_of
from services.cli.commands.tenant import otel_lines
from services.cli.connection import Connection, connect
from services.common.errors import FailedPrecondition
from services.embedded.layout import DataDir, write_json_atomically
from tests.engines_nats import EmbeddedNats
from threenines.sla.v1 import sla_pb2


def threenines(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "services.cli.main", *arguments]
    env = {**os.environ, **environ}
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=env)


def test_no_command_pays_for_the_compiler_of_another() -> None:
    """Numba costs half a second of CPU: `up` and every `sla status` would wait for it."""
    code = "import sys, services.cli.main; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_command_without_a_platform_says_what_to_do_and_shows_no_traceback(tmp_path: Path) -> None:
    for command in (("sla", "status"), ("alerts", "list"), ("dr", "list"), ("tenant", "create", "acme")):
        run = threenines(*command, "--data-dir", str(tmp_path))
        assert run.returncode == 1, command
        assert "threenines up" in run.stderr
        assert "Traceback" not in run.stderr


def test_status_without_a_platform_exits_with_69(tmp_path: Path) -> None:
    run = threenines("status", "--data-dir", str(tmp_path))
    assert run.returncode == 69
    assert "no threenines runs" in run.stderr


def test_a_service_that_does_not_answer_exits_with_69(tmp_path: Path) -> None:
    write_json_atomically(tmp_path / "state.json", {"connect": {"sla": "127.0.0.1:1"}})
    run = threenines("sla", "status", "--data-dir", str(tmp_path))
    assert run.returncode == 69
    assert "does not answer" in run.stderr


def test_config_check_reports_every_error_of_every_document_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "kind: Tenant\nmetadata: {name: Acme}\n---\n"
        "kind: Contract\nmetadata: {tenant: nobody, name: gold}\n"
        "spec: {time_zone: Mars/Base, effective_from: 2026-01-01, objectives: []}\n"
    )
    run = threenines("config", "check", str(path))
    assert run.returncode == 1
    assert "metadata.name" in run.stderr
    assert "time_zone" in run.stderr
    assert "Traceback" not in run.stderr


def test_config_check_accepts_the_example() -> None:
    run = threenines("config", "check", "deploy/examples/acme.yaml")
    assert (run.returncode, "ok" in run.stdout) == (0, True)


def test_config_check_reads_back_what_was_promised() -> None:
    run = threenines("config", "check", "deploy/examples", COLUMNS="160")
    lines = [line.split() for line in run.stdout.splitlines()]

    assert run.returncode == 0, run.stderr
    assert [
        "acme",
        "gold",
        "2026-01-01",
        "availability",
        "99.9%",
        "request_ratio",
        "30d",
        "43.2",
        "min",
    ] in lines
    (line,) = [line for line in run.stdout.splitlines() if "2026-06-15" in line and "requests" in line]
    assert "as aws-s3-standard" in line
    assert "month, Europe/Paris" in line
    assert line.split()[-4:] == ["20.16", "to", "22.32", "min"]
    assert "none: any failure breaches" in run.stdout


def test_config_check_refuses_a_preset_that_does_not_exist(tmp_path: Path) -> None:
    text = Path("deploy/examples/globex.yaml").read_text().replace("aws-s3-standard", "aws-s3-moon")
    (tmp_path / "bad.yaml").write_text(text)
    run = threenines("config", "check", str(tmp_path / "bad.yaml"))

    assert run.returncode == 1
    assert run.stderr.count("there is no preset aws-s3-moon") == 2


def test_config_export_writes_openslo_and_tells_what_it_leaves_out(tmp_path: Path) -> None:
    run = threenines("config", "export", "--format", "openslo", "deploy/examples/globex.yaml")
    exported = [one for one in yaml.safe_load_all(run.stdout) if one]

    assert run.returncode == 0, run.stderr
    assert [one["spec"]["objectives"][0]["target"] for one in exported] == [0.999, 0.95, 0.9995, 0.95]
    assert "not exported: globex/storage from 2026-06-15: credits: OpenSLO v1 has no such field" in run.stderr
    assert (
        "#   globex/storage from 2026-01-01: objectives[2].type: OpenSLO v1 has no data_availability"
        in run.stdout
    )
    assert "#   globex/storage from 2026-01-01: requests.method: is that of aws-s3-standard" in run.stdout
    (tmp_path / "back.yaml").write_text(f"kind: Tenant\nmetadata: {{name: globex}}\n---\n{run.stdout}")
    back = threenines("config", "check", str(tmp_path / "back.yaml"))
    assert back.returncode == 0, back.stderr


def test_an_error_of_a_document_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("kind: Tenant\nmetadata: {name: acme}\nspec: {colour: red}\n")
    run = threenines("config", "check", str(path))
    assert run.stderr.count("spec.colour") == 1


@pytest.mark.engines
async def test_config_check_knows_what_is_applied_already(tmp_path: Path) -> None:
    """A tenant that `tenant create` made is in no file."""
    tenant, receiver = tmp_path / "tenant.yaml", tmp_path / "receiver.yaml"
    tenant.write_text("kind: Tenant\nmetadata: {name: acme}\n")
    receiver.write_text(
        "kind: Receiver\nmetadata: {tenant: acme, name: hook}\n"
        "spec: {type: webhook, url: 'http://127.0.0.1:1/'}\n"
    )
    nats = EmbeddedNats(tmp_path / "nats")
    await nats.start()
    try:
        await apply_files(nats.url, [tenant])
        check = ("config", "check", str(receiver), "--data-dir", str(tmp_path / "none"))
        alone = await asyncio.to_thread(threenines, *check)
        beside = await asyncio.to_thread(threenines, *check, THREENINES_NATS_ADDRESS=nats.url)
    finally:
        await nats.stop()
    assert (alone.returncode, "there is no Tenant acme" in alone.stderr) == (1, True)
    assert (beside.returncode, "against what is applied" in beside.stdout) == (0, True), beside.stderr


def test_a_client_that_is_named_and_has_no_contract_is_an_error() -> None:
    """Exit code 0 would tell a script that a promise is kept which nobody made."""
    statuses = [
        sla_pb2.SlaStatus(name="tenants/acme/slaStatus", objectives=[sla_pb2.ObjectiveStatus()]),
        sla_pb2.SlaStatus(name="tenants/acne/slaStatus"),
    ]
    with pytest.raises(FailedPrecondition, match="no contract is in force for acne"):
        check_promised(statuses)


def test_an_objective_without_data_says_so_in_words() -> None:
    status = sla_pb2.SlaStatus(
        name="tenants/acme/slaStatus",
        objectives=[
            sla_pb2.ObjectiveStatus(absent_reason="OBJECTIVE_HAS_NO_DATA", verdict=sla_pb2.VERDICT_NO_DATA)
        ],
    )
    assert [row[3] for row in rows_of(status)] == ["no data yet"]


def test_a_window_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    write_json_atomically(tmp_path / "state.json", {"connect": {"sla": "127.0.0.1:1"}})
    run = threenines("sla", "status", "--window", "soon", "--data-dir", str(tmp_path))
    assert run.returncode == 2
    assert "--window" in run.stderr


def test_the_environment_wins_over_the_data_directory(tmp_path: Path) -> None:
    files = DataDir(tmp_path)
    write_json_atomically(files.state_file, {"connect": {"sla": "a:1", "dr": "b:2"}})
    found = connect(tmp_path, {"THREENINES_SLA_ADDRESS": "c:3", "THREENINES_TOKEN": "tn_x"})
    assert (found.address("sla"), found.address("dr")) == ("c:3", "b:2")
    assert found.metadata == (("authorization", "Bearer tn_x"),)


def test_a_connection_never_shows_its_token() -> None:
    assert "hidden" not in repr(Connection({"sla": "a:1"}, "hidden"))


def test_an_address_that_nobody_named_is_an_error_that_names_the_variable() -> None:
    with pytest.raises(FailedPrecondition, match="alerting") as raised:
        Connection({}, None).address("alerting")
    assert "THREENINES_ALERTING_ADDRESS" in str(raised.value.next_step)


def test_the_administrators_token_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    files = DataDir(tmp_path)
    token = files.admin_token()
    assert files.admin_token() == token
    assert files.admin_token_file.stat().st_mode & 0o777 == 0o600


def test_the_otel_lines_escape_the_token_for_the_header_variable() -> None:
    lines = otel_lines("127.0.0.1:4317", "tn_a_b")
    assert "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317" in lines
    assert "export OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20tn_a_b" in lines
