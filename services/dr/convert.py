"""The wire form of backups and restores, and back. Pure and total."""

import re

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.dr.backups import BackupPage, NewBackup
from services.dr.errors import BadRequest, TargetNotBuilt
from services.dr.model import (
    Backup,
    BackupState,
    Failure,
    LogPosition,
    Restore,
    RestoreState,
    TableContent,
    TableDifference,
)
from services.dr.restores import Aim, NewRestore
from threenines.dr.v1 import backup_service_pb2, dr_pb2

_REGION = re.compile(r"regions/([a-z0-9-]{1,63})")
_BACKUP = re.compile(r"regions/([a-z0-9-]{1,63})/backups/([a-z0-9_-]{1,63})")
_RESTORE = re.compile(r"regions/([a-z0-9-]{1,63})/restores/([a-z0-9_-]{1,63})")

_BACKUP_STATES = {
    BackupState.CREATING: dr_pb2.BACKUP_STATE_CREATING,
    BackupState.CREATED: dr_pb2.BACKUP_STATE_CREATED,
    BackupState.VERIFYING: dr_pb2.BACKUP_STATE_VERIFYING,
    BackupState.VERIFIED: dr_pb2.BACKUP_STATE_VERIFIED,
    BackupState.BROKEN: dr_pb2.BACKUP_STATE_BROKEN,
    BackupState.FAILED: dr_pb2.BACKUP_STATE_FAILED,
    BackupState.DELETED: dr_pb2.BACKUP_STATE_DELETED,
    BackupState.CANCELLED: dr_pb2.BACKUP_STATE_CANCELLED,
}
_BACKUP_STATES_BACK = {wire: state for state, wire in _BACKUP_STATES.items()}
_RESTORE_STATES = {
    RestoreState.PENDING: dr_pb2.RESTORE_STATE_PENDING,
    RestoreState.RESTORING: dr_pb2.RESTORE_STATE_RESTORING,
    RestoreState.VERIFYING: dr_pb2.RESTORE_STATE_VERIFYING,
    RestoreState.SUCCEEDED: dr_pb2.RESTORE_STATE_SUCCEEDED,
    RestoreState.FAILED: dr_pb2.RESTORE_STATE_FAILED,
    RestoreState.CANCELLED: dr_pb2.RESTORE_STATE_CANCELLED,
}
_AIMS = {
    "latest": Aim.LATEST,
    "target_time": Aim.TIME,
    "position": Aim.POSITION,
    "recovery_point": Aim.RECOVERY_POINT,
}


def new_backup_from_proto(request: backup_service_pb2.CreateBackupRequest) -> NewBackup:
    """What is asked for.

    Raises:
        BadRequest: the parent.
        TargetNotBuilt: KIND_NOT_BUILT, this release makes full backups only.
    """
    if request.kind == dr_pb2.BACKUP_KIND_INCREMENTAL or request.base_backup:
        field = "base_backup" if request.base_backup else "kind"
        raise TargetNotBuilt("this release makes full backups only", field=field, reason="KIND_NOT_BUILT")
    return NewBackup(
        region=region_from_proto(request.parent),
        comment=request.comment,
        verify=request.verify,
        request_id=request.request_id,
    )


def new_restore_from_proto(request: backup_service_pb2.RestoreBackupRequest) -> NewRestore:
    """What is asked for."""
    which = request.target.WhichOneof("target")
    backup_region, backup_id = ("", "")
    if request.source_backup:
        backup_region, backup_id = _split(_BACKUP, request.source_backup, "source_backup")
    return NewRestore(
        region=region_from_proto(request.parent),
        aim=Aim.LATEST if which is None else _AIMS[which],
        backup_region=backup_region,
        backup_id=backup_id,
        target_database=request.target_database,
        some_tenants=bool(request.tenants),
        exchange=request.exchange,
        validate_only=request.validate_only,
        request_id=request.request_id,
    )


def region_from_proto(parent: str) -> str:
    """The region of `regions/{region}`; empty stays empty."""
    if not parent:
        return ""
    match = _REGION.fullmatch(parent)
    if match is None:
        raise BadRequest("must look like regions/{region}", field="parent")
    return match[1]


def backup_name_from_proto(name: str) -> tuple[str, str]:
    """Region and id of a backup's name."""
    return _split(_BACKUP, name, "name")


def restore_name_from_proto(name: str) -> tuple[str, str]:
    """Region and id of a restore's name."""
    return _split(_RESTORE, name, "name")


def states_from_proto(request: backup_service_pb2.ListBackupsRequest) -> tuple[BackupState, ...]:
    """The states to list; UNSPECIFIED among them is refused."""
    found = [_BACKUP_STATES_BACK.get(state) for state in request.states]
    if None in found:
        raise BadRequest("holds an unknown state", field="states")
    return tuple(state for state in found if state is not None)


def backup_to_proto(backup: Backup) -> dr_pb2.Backup:
    """One backup."""
    return dr_pb2.Backup(
        name=f"regions/{backup.region}/backups/{backup.backup_id}",
        state=_BACKUP_STATES[backup.state],
        kind=dr_pb2.BACKUP_KIND_FULL,
        database=backup.database,
        create_time=_timestamp(backup.created_ns),
        complete_time=_timestamp(backup.completed_ns),
        verify_time=_timestamp(backup.verified_ns),
        log_positions=[_position_to_proto(each) for each in backup.positions],
        tables=[_content_to_proto(each) for each in backup.tables],
        size_bytes=backup.size_bytes,
        schema_version=backup.schema_version,
        writer_pause=_duration(backup.writer_pause_ns),
        differences=[_difference_to_proto(each) for each in backup.differences],
        failure=_failure_to_proto(backup.failure),
        progress_percent=backup.progress_percent,
        comment=backup.comment,
        creator=backup.creator,
    )


def page_to_proto(page: BackupPage) -> backup_service_pb2.ListBackupsResponse:
    """One page of backups."""
    return backup_service_pb2.ListBackupsResponse(
        backups=[backup_to_proto(each) for each in page.backups], next_page_token=page.next_token
    )


def restore_to_proto(restore: Restore) -> dr_pb2.Restore:
    """One restore; without an id (validation only) without a name."""
    named = bool(restore.restore_id)
    return dr_pb2.Restore(
        name=f"regions/{restore.region}/restores/{restore.restore_id}" if named else "",
        state=_RESTORE_STATES[restore.state],
        target=dr_pb2.RestoreTarget(latest=dr_pb2.LatestTarget()),
        source_backup=f"regions/{restore.region}/backups/{restore.backup_id}",
        target_database=restore.target_database,
        create_time=_timestamp(restore.created_ns),
        end_time=_timestamp(restore.ended_ns),
        reached_positions=[_position_to_proto(each) for each in restore.reached],
        tables=[_content_to_proto(each) for each in restore.tables],
        differences=[_difference_to_proto(each) for each in restore.differences],
        progress_percent=restore.progress_percent,
        failure=_failure_to_proto(restore.failure),
        creator=restore.creator,
    )


def _split(pattern: re.Pattern[str], name: str, field: str) -> tuple[str, str]:
    match = pattern.fullmatch(name)
    if match is None:
        kind = "backups/{backup}" if pattern is _BACKUP else "restores/{restore}"
        raise BadRequest(f"must look like regions/{{region}}/{kind}", field=field)
    return match[1], match[2]


def _position_to_proto(position: LogPosition) -> dr_pb2.LogPosition:
    return dr_pb2.LogPosition(
        stream=position.stream,
        incarnation=position.incarnation,
        sequence=position.sequence,
        append_time=_timestamp(position.append_time_ns),
    )


def _content_to_proto(content: TableContent) -> dr_pb2.TableContent:
    return dr_pb2.TableContent(
        table=content.table,
        row_count=content.row_count,
        stored_bytes=content.stored_bytes,
        content_hash=content.content_hash,
    )


def _difference_to_proto(difference: TableDifference) -> dr_pb2.TableDifference:
    return dr_pb2.TableDifference(
        table=difference.table,
        expected=None if difference.expected is None else _content_to_proto(difference.expected),
        actual=None if difference.actual is None else _content_to_proto(difference.actual),
        message=difference.message,
    )


def _failure_to_proto(failure: Failure | None) -> dr_pb2.Failure | None:
    if failure is None:
        return None
    return dr_pb2.Failure(reason=failure.reason, message=failure.message, remedy=failure.remedy)


def _timestamp(time_ns: int | None) -> Timestamp | None:
    if time_ns is None:
        return None
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos)


def _duration(length_ns: int) -> Duration:
    seconds, nanos = divmod(length_ns, 1_000_000_000)
    return Duration(seconds=seconds, nanos=nanos)
