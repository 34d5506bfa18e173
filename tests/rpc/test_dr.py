"""BackupService over a real server, on the ports in memory: status and reason of every refusal."""

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest

from services.common.auth import Authenticator, Role, TokenTable, mint_token, sha256_hex
from services.common.auth_tokens import TokenRecord
from services.common.clock import SystemClock
from services.common.grpc_details import ErrorDetails, read_details
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import ServerConfig, bound_port, build_server
from services.dr.model import BackupState
from services.dr.servicer import SERVICE_NAMES, BackupServicer, add_servicers
from tests.unit.dr.dr_memory import LIVE, REGION, Process, World
from threenines.dr.v1 import (
    backup_service_pb2,
    backup_service_pb2_grpc,
    dr_pb2,
    drill_service_pb2,
    drill_service_pb2_grpc,
    failover_service_pb2,
    failover_service_pb2_grpc,
)

pb = backup_service_pb2
UNKNOWN = f"regions/{REGION}/backups/20260101t000000000_ffff"
UNKNOWN_RESTORE = f"regions/{REGION}/restores/20260101t000000000_ffff"

# Every RPC that is built, with a request that is right.
CALLS: dict[str, Any] = {
    "CreateBackup": pb.CreateBackupRequest(),
    "GetBackup": pb.GetBackupRequest(name=UNKNOWN),
    "ListBackups": pb.ListBackupsRequest(),
    "VerifyBackup": pb.VerifyBackupRequest(name=UNKNOWN),
    "RestoreBackup": pb.RestoreBackupRequest(),
    "GetRestore": pb.GetRestoreRequest(name=UNKNOWN_RESTORE),
}


@dataclass
class Service:
    """A served process, its channel, and tokens by who has them."""

    world: World
    process: Process
    channel: grpc.aio.Channel
    tokens: dict[str, str]

    async def call(self, rpc: str, request: Any, *, who: str = "admin") -> Any:
        """One call of BackupService."""
        stub = backup_service_pb2_grpc.BackupServiceStub(self.channel)
        method: Callable[..., Any] = getattr(stub, rpc)
        return await method(request, metadata=self.metadata(who), timeout=10)

    async def refusal(self, rpc: str, request: Any, *, who: str = "admin") -> tuple[Any, ErrorDetails]:
        """Status and details of a call that fails."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(rpc, request, who=who)
        return caught.value.code(), read_details(caught.value)

    async def verified(self) -> dr_pb2.Backup:
        """A verified backup."""
        made = await self.call("CreateBackup", pb.CreateBackupRequest(verify=True, comment="nightly"))
        await self.process.worker.settle()
        backup: dr_pb2.Backup = await self.call("GetBackup", pb.GetBackupRequest(name=made.name))
        return backup

    def metadata(self, who: str) -> tuple[tuple[str, str], ...]:
        """The credential of a caller; nobody has none."""
        return () if who == "nobody" else (("authorization", f"Bearer {self.tokens[who]}"),)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """BackupService on a free port, with tokens of a tenant and of the platform."""
    owners = {
        "acme's admin": ("acme", Role.ADMIN),
        "acme's reader": ("acme", Role.READER),
        "the platform's operator": ("*", Role.OPERATOR),
    }
    minted = {who: mint_token(secrets.token_bytes) for who in owners}
    records = [TokenRecord(minted[who].token_id, *owner, minted[who].sha256) for who, owner in owners.items()]
    admin = mint_token(secrets.token_bytes).text
    world = World()
    process = world.process()
    clock = SystemClock()
    server = build_server(
        config=ServerConfig(listen="127.0.0.1:0"),
        authenticator=Authenticator("token", TokenTable(records), sha256_hex(admin)),
        health=HealthRegistry(clock),
        service_names=SERVICE_NAMES,
    )
    add_servicers(server, BackupServicer(process.backups, process.restores))  # type: ignore[abstract]
    await server.start()
    tokens = {who: token.text for who, token in minted.items()} | {"admin": admin}
    async with (
        process.working(),
        grpc.aio.insecure_channel(f"127.0.0.1:{bound_port(server)}") as channel,
    ):
        yield Service(world, process, channel, tokens)
    await server.stop(0)


@pytest.mark.parametrize("who", ["acme's admin", "acme's reader", "the platform's operator"])
@pytest.mark.parametrize("rpc", CALLS)
async def test_only_an_admin_of_the_platform_may(service: Service, rpc: str, who: str) -> None:
    code, details = await service.refusal(rpc, CALLS[rpc], who=who)

    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert details.reason in ("PLATFORM_ONLY", "ROLE_NOT_ALLOWED")
    assert details.next_step
    assert await service.world.catalogue.backups() == ()


@pytest.mark.parametrize("rpc", CALLS)
async def test_nobody_is_unauthenticated(service: Service, rpc: str) -> None:
    code, details = await service.refusal(rpc, CALLS[rpc], who="nobody")

    assert (code, details.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


async def test_a_backup_is_made_verified_and_restored(service: Service) -> None:
    await service.world.position(last=41)
    backup = await service.verified()
    started = await service.call("RestoreBackup", pb.RestoreBackupRequest(source_backup=backup.name))
    await service.process.worker.settle()
    restore = await service.call("GetRestore", pb.GetRestoreRequest(name=started.name))

    assert backup.state == dr_pb2.BACKUP_STATE_VERIFIED
    assert backup.creator == "bootstrap-admin"
    assert backup.comment == "nightly"
    assert [(each.stream, each.sequence) for each in backup.log_positions] == [("OTLP", 41)]
    assert {each.table: each.row_count for each in backup.tables} == {"empty": 0, "points": 3, "series": 1}
    assert backup.HasField("verify_time")
    assert not backup.HasField("failure")
    assert restore.state == dr_pb2.RESTORE_STATE_SUCCEEDED
    assert restore.source_backup == backup.name
    assert [each.content_hash for each in restore.tables] == [each.content_hash for each in backup.tables]
    assert restore.target_database in service.world.store.databases


async def test_what_was_started_says_so_at_once(service: Service) -> None:
    backup = await service.verified()
    verifying = await service.call("VerifyBackup", pb.VerifyBackupRequest(name=backup.name))
    await service.process.worker.settle()
    pending = await service.call("RestoreBackup", pb.RestoreBackupRequest())

    assert verifying.state == dr_pb2.BACKUP_STATE_VERIFYING
    assert pending.state == dr_pb2.RESTORE_STATE_PENDING
    assert pending.target_database.startswith(f"{LIVE}_r")


async def test_a_second_backup_meanwhile_is_refused(service: Service) -> None:
    first = await service.call("CreateBackup", pb.CreateBackupRequest())
    await service.process.worker.settle()
    (made,) = await service.world.catalogue.backups()
    await service.world.catalogue.save_backup(replace(made, state=BackupState.CREATING))
    code, details = await service.refusal("CreateBackup", pb.CreateBackupRequest())

    assert first.state == dr_pb2.BACKUP_STATE_CREATING
    assert details.metadata["backup"] == made.backup_id
    assert (code, details.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BACKUP_UNDER_WAY")


async def test_a_repeated_request_answers_with_the_same_backup(service: Service) -> None:
    request = pb.CreateBackupRequest(request_id="5d1a0c1e-0000-4000-8000-000000000001")
    first = await service.call("CreateBackup", request)
    again = await service.call("CreateBackup", request)
    await service.process.worker.settle()
    later = await service.call("CreateBackup", request)

    assert first.name == again.name == later.name


@pytest.mark.parametrize(
    ("rpc", "request_", "code", "reason"),
    [
        ("GetBackup", pb.GetBackupRequest(name=UNKNOWN), "NOT_FOUND", "BACKUP_NOT_FOUND"),
        ("VerifyBackup", pb.VerifyBackupRequest(name=UNKNOWN), "NOT_FOUND", "BACKUP_NOT_FOUND"),
        (
            "GetBackup",
            pb.GetBackupRequest(name=UNKNOWN.replace(REGION, "mars")),
            "NOT_FOUND",
            "BACKUP_NOT_FOUND",
        ),
        ("GetRestore", pb.GetRestoreRequest(name=UNKNOWN_RESTORE), "NOT_FOUND", "RESTORE_NOT_FOUND"),
        ("GetBackup", pb.GetBackupRequest(name="backups/1"), "INVALID_ARGUMENT", "BAD_REQUEST"),
        ("GetBackup", pb.GetBackupRequest(), "INVALID_ARGUMENT", "BAD_REQUEST"),
        ("CreateBackup", pb.CreateBackupRequest(parent="regions/mars"), "INVALID_ARGUMENT", "OTHER_REGION"),
        ("CreateBackup", pb.CreateBackupRequest(comment="x" * 501), "INVALID_ARGUMENT", "BAD_REQUEST"),
        ("CreateBackup", pb.CreateBackupRequest(request_id="1"), "INVALID_ARGUMENT", "BAD_REQUEST"),
        (
            "CreateBackup",
            pb.CreateBackupRequest(kind=dr_pb2.BACKUP_KIND_INCREMENTAL),
            "UNIMPLEMENTED",
            "KIND_NOT_BUILT",
        ),
        ("ListBackups", pb.ListBackupsRequest(page_size=-1), "INVALID_ARGUMENT", "BAD_REQUEST"),
        ("ListBackups", pb.ListBackupsRequest(page_token="x"), "INVALID_ARGUMENT", "BAD_PAGE_TOKEN"),
        ("RestoreBackup", pb.RestoreBackupRequest(), "FAILED_PRECONDITION", "NO_VERIFIED_BACKUP"),
        ("RestoreBackup", pb.RestoreBackupRequest(source_backup=UNKNOWN), "NOT_FOUND", "BACKUP_NOT_FOUND"),
        ("RestoreBackup", pb.RestoreBackupRequest(target_database="a b"), "INVALID_ARGUMENT", "BAD_REQUEST"),
        ("RestoreBackup", pb.RestoreBackupRequest(exchange=True), "UNIMPLEMENTED", "TARGET_NOT_BUILT"),
        (
            "RestoreBackup",
            pb.RestoreBackupRequest(tenants=["tenants/acme"]),
            "UNIMPLEMENTED",
            "TARGET_NOT_BUILT",
        ),
        (
            "RestoreBackup",
            pb.RestoreBackupRequest(target=dr_pb2.RestoreTarget(position=dr_pb2.LogPosition(sequence=3))),
            "UNIMPLEMENTED",
            "TARGET_NOT_BUILT",
        ),
    ],
)
async def test_refuses_with_a_status_and_a_reason(
    service: Service, rpc: str, request_: Any, code: str, reason: str
) -> None:
    status, details = await service.refusal(rpc, request_)

    assert (status.name, details.reason) == (code, reason)


async def test_never_restores_over_a_database_that_exists(service: Service) -> None:
    await service.verified()
    code, details = await service.refusal("RestoreBackup", pb.RestoreBackupRequest(target_database=LIVE))

    assert (code, details.reason) == (grpc.StatusCode.ALREADY_EXISTS, "TARGET_EXISTS")


async def test_validation_only_names_the_backup_and_starts_nothing(service: Service) -> None:
    backup = await service.verified()
    answer = await service.call("RestoreBackup", pb.RestoreBackupRequest(validate_only=True))
    await service.process.worker.settle()

    assert (answer.name, answer.source_backup) == ("", backup.name)
    assert set(service.world.store.databases) == {LIVE}


async def test_a_broken_backup_cannot_be_restored(service: Service) -> None:
    backup = await service.verified()
    path = next(path for path in service.world.files.files if path.endswith("/points/rows"))
    service.world.files.files[path] += b" "
    await service.call("VerifyBackup", pb.VerifyBackupRequest(name=backup.name))
    await service.process.worker.settle()
    broken = await service.call("GetBackup", pb.GetBackupRequest(name=backup.name))
    code, details = await service.refusal("RestoreBackup", pb.RestoreBackupRequest(source_backup=backup.name))

    assert broken.state == dr_pb2.BACKUP_STATE_BROKEN
    assert broken.failure.reason == "CONTENT_DIFFERS"
    assert broken.failure.remedy
    assert [each.table for each in broken.differences] == ["points"]
    assert (code, details.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BACKUP_NOT_USABLE")


async def test_pages_list_every_backup_once_newest_first(service: Service) -> None:
    names = []
    for _ in range(5):
        names.append((await service.verified()).name)
        service.world.clock.advance(1)
    seen, token = [], ""
    while True:
        page = await service.call("ListBackups", pb.ListBackupsRequest(page_size=2, page_token=token))
        seen += [each.name for each in page.backups]
        token = page.next_page_token
        if not token:
            break

    assert seen == list(reversed(names))
    broken = pb.ListBackupsRequest(states=[dr_pb2.BACKUP_STATE_BROKEN])
    assert len((await service.call("ListBackups", broken)).backups) == 0
    first = await service.call("ListBackups", pb.ListBackupsRequest(page_size=2))
    _, details = await service.refusal(
        "ListBackups",
        pb.ListBackupsRequest(page_token=first.next_page_token, states=[dr_pb2.BACKUP_STATE_BROKEN]),
    )
    assert details.reason == "BAD_PAGE_TOKEN"


async def test_what_is_not_built_says_so(service: Service) -> None:
    metadata = service.metadata("admin")
    calls = [
        service.call("DeleteBackup", pb.DeleteBackupRequest(name=UNKNOWN)),
        failover_service_pb2_grpc.FailoverServiceStub(service.channel).ListFailovers(
            failover_service_pb2.ListFailoversRequest(), metadata=metadata
        ),
        drill_service_pb2_grpc.DrillServiceStub(service.channel).RunDrill(
            drill_service_pb2.RunDrillRequest(), metadata=metadata
        ),
    ]
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert read_details(caught.value).reason == "RPC_NOT_BUILT"
