"""What docs/client.md shows works as it stands there: the three lines, and every grpcurl over reflection."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.rpc.sla_service import Service, contract_of, running, sealed
from threenines.client import AsyncClient, Client

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
_GRPCURL = re.compile(r"grpcurl -plaintext (?P<options>[^\n]*(?:\n {4}[^\n]*)*)")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running(contract_of("acme")) as found:
        await found.put(sealed(0), sealed(1, 50))
        yield found


async def test_the_three_lines_print_a_figure(service: Service) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len([line for line in lines.splitlines() if line.strip()]) == 3
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", lines),
        env={
            "PYTHONPATH": os.pathsep.join(sys.path),
            "THREENINES_SLA_ADDRESS": service.address,
            "THREENINES_TOKEN": service.tokens["acme"],
        },
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)

    assert (process.returncode, printed) == (0, b"75.000\n")


async def test_every_grpcurl_is_answered_with_nothing_but_reflection(service: Service) -> None:
    found = await asyncio.to_thread(_called, service.address, service.tokens["acme"])

    assert found["list threenines.sla.v1.SlaService"] == "threenines.sla.v1.SlaService"
    assert found["threenines.sla.v1.SlaService/GetSlaStatus"]["name"] == "tenants/acme/slaStatus"
    assert found["threenines.sla.v1.SlaService/GetUptime"]["uptime"]["displayedPercent"] == "75.000"
    # Nobody probes the engines of this server.
    assert found["grpc.health.v1.Health/Check"]["status"] == "NOT_SERVING"
    assert len(found) == 4


def _called(address: str, token: str) -> dict[str, Any]:
    """What each command of the page answers, by its last words."""
    out: dict[str, Any] = {}
    with grpc.insecure_channel(address) as channel:
        known = ProtoReflectionDescriptorDatabase(channel)
        pool = descriptor_pool.DescriptorPool(known)
        for options in (one["options"] for one in _GRPCURL.finditer(PAGE)):
            what = options.split("localhost:7710 ")[1].strip()
            if what.startswith("list "):
                out[what] = next(one for one in known.get_services() if one == what.removeprefix("list "))
                continue
            service, method = what.split("/")
            described = pool.FindServiceByName(service).methods_by_name[method]
            asked, answered = (
                message_factory.GetMessageClass(one) for one in (described.input_type, described.output_type)
            )
            body = re.search(r"-d '(.*)'", options, re.DOTALL)
            call = channel.unary_unary(
                f"/{what}",
                request_serializer=asked.SerializeToString,
                response_deserializer=answered.FromString,
            )
            message = json_format.Parse(body[1] if body else "{}", asked())
            signed = (("authorization", f"Bearer {token}"),) if "$TOKEN" in options else ()
            out[what] = json.loads(json_format.MessageToJson(call(message, metadata=signed, timeout=10)))
    return out


@pytest.mark.parametrize("slice_ms", [10_000, 300_000, None])
async def test_whose_figures_they_are_follows_from_the_credential_whatever_the_contract(
    slice_ms: int | None,
) -> None:
    """Also with slices of five minutes, and for a client without any contract."""
    gold = contract_of("acme")
    if slice_ms is not None:
        gold = replace(gold, objectives=tuple(replace(one, slice_ms=slice_ms) for one in gold.objectives))
    async with running(*([] if slice_ms is None else [gold])) as service:
        await service.put(sealed(0))

        def ask() -> str:
            with Client(service.address, token=service.tokens["acme"]) as sla:
                return sla.tenant

        async with AsyncClient(service.address, token=service.tokens["acme"]) as sla:
            assert await sla.tenant() == await asyncio.to_thread(ask) == "acme"
