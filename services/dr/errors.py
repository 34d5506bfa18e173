"""What disaster recovery refuses or fails with.

    ThreeninesError
    |-- NotFound            UnknownBackup, UnknownRestore
    |-- AlreadyExists       TargetExists
    |-- FailedPrecondition  BackupUnderWay, BackupNotUsable, WriterNotPaused, UnreadableContent
    |-- InvalidArgument     BadRequest
    `-- NotBuilt            TargetNotBuilt

Each says what to do next: whoever restores has no time to guess.
"""

from services.common.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotBuilt, NotFound


class UnknownBackup(NotFound):
    """No backup has that name."""

    default_reason = "BACKUP_NOT_FOUND"


class UnknownRestore(NotFound):
    """No restore has that name."""

    default_reason = "RESTORE_NOT_FOUND"


class TargetExists(AlreadyExists):
    """The database to restore into is there already; a restore never touches an existing one."""

    default_reason = "TARGET_EXISTS"


class BackupUnderWay(FailedPrecondition):
    """One backup at a time: the writer can be paused only once."""

    default_reason = "BACKUP_UNDER_WAY"


class BackupNotUsable(FailedPrecondition):
    """The backup is in a state that does not allow this."""

    default_reason = "BACKUP_NOT_USABLE"


class WriterNotPaused(FailedPrecondition):
    """The writer was not between two batches while the tables were cloned."""

    default_reason = "WRITER_NOT_PAUSED"


class UnreadableContent(FailedPrecondition):
    """A backup, or a table read back from one, cannot be read: damage and not an outage."""

    default_reason = "CONTENT_UNREADABLE"


class BadRequest(InvalidArgument):
    """A field of the request is wrong."""

    default_reason = "BAD_REQUEST"


class TargetNotBuilt(NotBuilt):
    """A kind of backup or restore that the contract has and this release does not."""

    default_reason = "TARGET_NOT_BUILT"
