"""Backups and restores on the wire, compared as whole messages."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.dr.convert import backup_to_proto, restore_to_proto
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
from threenines.dr.v1 import dr_pb2

CONTENT = TableContent("points", 2, 100, "x:00")
WIRE_CONTENT = dr_pb2.TableContent(table="points", row_count=2, stored_bytes=100, content_hash="x:00")


def test_a_backup_has_every_field_on_the_wire() -> None:
    backup = Backup(
        backup_id="b1",
        region="r",
        database="threenines",
        state=BackupState.BROKEN,
        created_ns=1_500_000_000,
        comment="c",
        creator="t",
        completed_ns=2_000_000_001,
        verified_ns=3_000_000_000,
        positions=(LogPosition("OTLP", "7", 41, 5),),
        tables=(CONTENT,),
        size_bytes=9,
        schema_version=30,
        writer_pause_ns=1_000_000_002,
        differences=(TableDifference("points", "other", CONTENT),),
        failure=Failure("CONTENT_DIFFERS", "m", "r"),
        progress_percent=100,
    )

    assert backup_to_proto(backup) == dr_pb2.Backup(
        name="regions/r/backups/b1",
        state=dr_pb2.BACKUP_STATE_BROKEN,
        kind=dr_pb2.BACKUP_KIND_FULL,
        database="threenines",
        create_time=Timestamp(seconds=1, nanos=500_000_000),
        complete_time=Timestamp(seconds=2, nanos=1),
        verify_time=Timestamp(seconds=3),
        log_positions=[
            dr_pb2.LogPosition(stream="OTLP", incarnation="7", sequence=41, append_time=Timestamp(nanos=5))
        ],
        tables=[WIRE_CONTENT],
        size_bytes=9,
        schema_version=30,
        writer_pause=Duration(seconds=1, nanos=2),
        differences=[dr_pb2.TableDifference(table="points", expected=WIRE_CONTENT, message="other")],
        failure=dr_pb2.Failure(reason="CONTENT_DIFFERS", message="m", remedy="r"),
        progress_percent=100,
        comment="c",
        creator="t",
    )


def test_what_has_not_happened_is_absent() -> None:
    wire = backup_to_proto(Backup("b1", "r", "d", BackupState.CREATING, 1))

    assert not wire.HasField("complete_time")
    assert not wire.HasField("verify_time")
    assert not wire.HasField("failure")


def test_a_restore_has_every_field_on_the_wire() -> None:
    restore = Restore(
        restore_id="r1",
        region="r",
        backup_id="b1",
        target_database="second",
        state=RestoreState.SUCCEEDED,
        created_ns=1_000_000_000,
        creator="t",
        ended_ns=2_000_000_000,
        reached=(LogPosition("OTLP", "7", 0),),
        tables=(CONTENT,),
        progress_percent=100,
    )

    assert restore_to_proto(restore) == dr_pb2.Restore(
        name="regions/r/restores/r1",
        state=dr_pb2.RESTORE_STATE_SUCCEEDED,
        target=dr_pb2.RestoreTarget(latest=dr_pb2.LatestTarget()),
        source_backup="regions/r/backups/b1",
        target_database="second",
        create_time=Timestamp(seconds=1),
        end_time=Timestamp(seconds=2),
        reached_positions=[dr_pb2.LogPosition(stream="OTLP", incarnation="7")],
        tables=[WIRE_CONTENT],
        progress_percent=100,
        creator="t",
    )
