"""The RPCs of BackupService that this release has: from the wire, use case, to the wire.

What is not overridden here, and all of FailoverService and DrillService, answers UNIMPLEMENTED
through the generated base classes.
"""

from typing import Any

from services.dr import convert
from services.dr.backups import Backups
from services.dr.restores import Restores
from threenines.dr.v1 import (
    backup_service_pb2,
    backup_service_pb2_grpc,
    dr_pb2,
    drill_service_pb2_grpc,
    failover_service_pb2_grpc,
)

SERVICE_NAME = "threenines.dr.v1.BackupService"
SERVICE_NAMES = (SERVICE_NAME, "threenines.dr.v1.FailoverService", "threenines.dr.v1.DrillService")


class BackupServicer(backup_service_pb2_grpc.BackupServiceServicer):
    """`threenines.dr.v1.BackupService`."""

    def __init__(self, backups: Backups, restores: Restores) -> None:
        self._backups = backups
        self._restores = restores

    async def CreateBackup(
        self, request: backup_service_pb2.CreateBackupRequest, _context: Any
    ) -> dr_pb2.Backup:
        """Starts a backup."""
        asked = convert.new_backup_from_proto(request)
        return convert.backup_to_proto(await self._backups.create(asked))

    async def GetBackup(self, request: backup_service_pb2.GetBackupRequest, _context: Any) -> dr_pb2.Backup:
        """One backup."""
        region, backup_id = convert.backup_name_from_proto(request.name)
        return convert.backup_to_proto(await self._backups.get(region, backup_id))

    async def ListBackups(
        self, request: backup_service_pb2.ListBackupsRequest, _context: Any
    ) -> backup_service_pb2.ListBackupsResponse:
        """Backups, newest first."""
        page = await self._backups.page(
            region=convert.region_from_proto(request.parent),
            size=request.page_size,
            token=request.page_token,
            states=convert.states_from_proto(request),
        )
        return convert.page_to_proto(page)

    async def VerifyBackup(
        self, request: backup_service_pb2.VerifyBackupRequest, _context: Any
    ) -> dr_pb2.Backup:
        """Starts to prove a backup."""
        region, backup_id = convert.backup_name_from_proto(request.name)
        return convert.backup_to_proto(await self._backups.verify(region, backup_id))

    async def RestoreBackup(
        self, request: backup_service_pb2.RestoreBackupRequest, _context: Any
    ) -> dr_pb2.Restore:
        """Starts a restore."""
        asked = convert.new_restore_from_proto(request)
        return convert.restore_to_proto(await self._restores.start(asked))

    async def GetRestore(
        self, request: backup_service_pb2.GetRestoreRequest, _context: Any
    ) -> dr_pb2.Restore:
        """One restore."""
        region, restore_id = convert.restore_name_from_proto(request.name)
        return convert.restore_to_proto(await self._restores.get(region, restore_id))


def add_servicers(server: Any, servicer: BackupServicer) -> None:
    """Register all three services; those to come answer UNIMPLEMENTED."""
    backup_service_pb2_grpc.add_BackupServiceServicer_to_server(servicer, server)
    failover_service_pb2_grpc.add_FailoverServiceServicer_to_server(
        failover_service_pb2_grpc.FailoverServiceServicer(),  # type: ignore[abstract]  # in the stubs only
        server,
    )
    drill_service_pb2_grpc.add_DrillServiceServicer_to_server(
        drill_service_pb2_grpc.DrillServiceServicer(),  # type: ignore[abstract]  # in the stubs only
        server,
    )
