"""What can go wrong in alerting, by name.

Children of the common tree, so that the transport needs to know none of them.
"""

from services.common.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable


class MalformedRecord(InvalidArgument):
    """A record of a stream that does not follow its version's shape."""

    default_reason = "MALFORMED_RECORD"


class NewerRecord(FailedPrecondition):
    """A record of a version that this release does not know: it was written by a newer one."""

    default_reason = "NEWER_RECORD"


class BadPageToken(InvalidArgument):
    """A page token that we did not make, or that belongs to another request."""

    default_reason = "BAD_PAGE_TOKEN"


class BadParent(InvalidArgument):
    """A resource name that names no tenant."""

    default_reason = "BAD_PARENT"


class UnknownRule(NotFound):
    """A rule that the tenant does not have."""

    default_reason = "UNKNOWN_RULE"


class HistoryUnavailable(Unavailable):
    """History lives in ClickHouse, and that does not answer."""

    default_reason = "HISTORY_UNAVAILABLE"
