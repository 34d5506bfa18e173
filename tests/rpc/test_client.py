"""`threenines.client` against a real server: what an internal caller writes, and what it gets."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import grpc
import pytest

from tests.rpc.test_sla import LATENCIES, T0, sealed, service
from threenines.client import AsyncClient, CallError, Client, Verdict
from threenines.client.requests import Target, window_message

__all__ = ["service"]

START = datetime.fromtimestamp(T0 / 1000, UTC)


async def stored(service):
    slices = [("gold/availability", sealed(k, good=99 if k == 3 else 100)) for k in range(6)]
    slices += [("gold/latency", sealed(k, distribution=LATENCIES)) for k in range(6)]
    await service.store.store("acme", slices, seq=1)


@pytest.fixture
async def address(service):
    await stored(service)
    return service.address


async def test_three_lines_give_a_figure(service, address):
    def ask():
        with Client(address, token=service.tokens["acme"]) as sla:
            return sla.uptime("gold/availability", "1m")

    figure = await asyncio.to_thread(ask)
    assert (figure.good, figure.total, figure.uptime) == (599, 600, Fraction(599, 600))
    assert (figure.percent, figure.target, figure.verdict) == ("99.833", Fraction(999, 1000), Verdict.FAIL)
    assert (figure.start, figure.end) == (START, START + timedelta(minutes=1))
    assert (figure.budget.total, figure.budget.consumed, figure.budget.remaining) == (0, 1, -1)
    assert (figure.down_ns, figure.no_data_ns) == (0, 0)


async def test_both_clients_give_the_same_figures(service, address):
    def ask():
        with Client(address, token=service.tokens["acme"]) as sla:
            return (
                sla.uptime("gold/availability", timedelta(minutes=1)),
                sla.latency("gold/latency", "1m", quantile="0.5"),
                sla.status("1m"),
                sla.objectives(),
            )

    async with AsyncClient(address, token=service.tokens["acme"]) as sla:
        found = (
            await sla.uptime("gold/availability", timedelta(minutes=1)),
            await sla.latency("gold/latency", "1m", quantile="0.5"),
            await sla.status("1m"),
            await sla.objectives(),
        )
    assert found == await asyncio.to_thread(ask)
    _, latency, status, objectives = found
    assert latency.lower_s < latency.estimate_s < latency.upper_s <= 0.5
    assert (latency.quantile, latency.total) == (Fraction(1, 2), 600)
    assert (status.tenant, status.verdict) == ("acme", Verdict.FAIL)
    assert {one.name for one in status.objectives} == set(objectives)
    assert [one.absent_reason for one in status.objectives if one.name == "silver/latency"] == [
        "OBJECTIVE_HAS_NO_DATA"
    ]
    assert not status.verdict.kept


async def test_a_refusal_tells_code_reason_and_what_to_do(service, address):
    async with AsyncClient(address, token=service.tokens["acme"]) as sla:
        with pytest.raises(CallError) as caught:
            await sla.uptime("gold/nothing")
        assert (caught.value.code, caught.value.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "OBJECTIVE_NOT_FOUND",
        )
        with pytest.raises(CallError) as caught:
            await sla.uptime("gold/availability", "7s")
        assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.violations[0][0] == "window.rolling_period"
        assert caught.value.retry_after_s is None
        with pytest.raises(CallError) as caught:
            await sla.uptime("silver/availability")
        assert "OTLP" in caught.value.next_step
    async with AsyncClient(address, token=service.tokens["acme"], tenant="umbra") as foreign:
        with pytest.raises(CallError) as caught:
            await foreign.status()
        assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_service_that_is_away_is_told_as_such():
    async with AsyncClient("127.0.0.1:9", token="tn_secret", timeout_s=5.0) as sla:
        with pytest.raises(CallError) as caught:
            await sla.status()
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("window", ["30", "fortnight", "unspecified", "1.5h", ""])
def test_a_window_that_nobody_can_mean_is_refused_here(window):
    with pytest.raises(ValueError, match="a window is"):
        window_message(window)


def test_a_time_without_a_zone_is_refused_here():
    with pytest.raises(ValueError, match="has no time zone"):
        window_message((datetime(2026, 11, 1), datetime(2026, 12, 1)))  # noqa: DTZ001


def test_windows_are_said_as_people_say_them():
    assert window_message("2h").rolling_period.seconds == 7200
    assert window_message("month").calendar.period == 3
    custom = window_message((START, START + timedelta(days=1))).custom
    assert custom.end_time.seconds - custom.start_time.seconds == 86_400


def test_the_environment_names_service_and_credential_and_shows_no_secret(tmp_path):
    (tmp_path / "ca.pem").write_bytes(b"pem")
    environ = {
        "THREENINES_SLA_ADDRESS": "sla.example:7710",
        "THREENINES_TOKEN": "tn_secret",
        "THREENINES_CA_FILE": str(tmp_path / "ca.pem"),
    }
    target = Target.from_env(environ)
    assert (target.address, target.ca, target.tenant) == ("sla.example:7710", b"pem", None)
    assert target.metadata == (("authorization", "Bearer tn_secret"),)
    assert "secret" not in repr(target)


def test_the_client_brings_nothing_of_the_services():
    code = "import sys, threenines.client; print([m for m in sys.modules if m.startswith('services')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
