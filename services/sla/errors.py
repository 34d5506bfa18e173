"""What the SLA service refuses, named. Each is a child of one outcome of `services.common.errors`."""

from services.common.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unavailable


class ObjectiveNotFound(NotFound):
    """No objective of that name, or not one that the caller may see."""

    default_reason = "OBJECTIVE_NOT_FOUND"


class ObjectiveNotInForce(FailedPrecondition):
    """The objective is promised for another time: its contract is yet to begin, or it ended."""

    default_reason = "OBJECTIVE_NOT_IN_FORCE"


class ContractNotFound(NotFound):
    """No contract of that name, or not one that the caller may see."""

    default_reason = "CONTRACT_NOT_FOUND"


class BadWindow(InvalidArgument):
    """A window that cannot be computed."""

    default_reason = "BAD_WINDOW"


class BadName(InvalidArgument):
    """A resource name that does not have the form of its field."""

    default_reason = "BAD_RESOURCE_NAME"


class BadPage(InvalidArgument):
    """A page size or token that cannot be."""

    default_reason = "BAD_PAGE"


class WrongObjectiveType(InvalidArgument):
    """The figure does not exist for this type of objective."""

    default_reason = "WRONG_OBJECTIVE_TYPE"


class ObjectiveHasNoData(FailedPrecondition):
    """Nothing has been computed for the objective yet."""

    default_reason = "OBJECTIVE_HAS_NO_DATA"


class StoreDown(Unavailable):
    """The store of points or slices does not answer."""

    default_reason = "STORE_DOWN"


class BadMaintenanceWindow(InvalidArgument):
    """Maintenance that cannot be announced so; every wrong field is told."""

    default_reason = "BAD_MAINTENANCE_WINDOW"


class MaintenanceWindowNotFound(NotFound):
    """No maintenance window of that name, or not one that the caller may see."""

    default_reason = "MAINTENANCE_WINDOW_NOT_FOUND"


class MaintenanceWindowExists(AlreadyExists):
    """The id is taken."""

    default_reason = "MAINTENANCE_WINDOW_EXISTS"


class BadReportRequest(InvalidArgument):
    """A report that cannot be asked for so; every wrong field is told."""

    default_reason = "BAD_REPORT_REQUEST"


class ReportNotFound(NotFound):
    """No report of that name, or not one that the caller may see."""

    default_reason = "REPORT_NOT_FOUND"


class ReportNotIssued(FailedPrecondition):
    """The report has no content: it is being made, failed, or was cancelled."""

    default_reason = "REPORT_NOT_ISSUED"


class ReportIssued(FailedPrecondition):
    """The report is issued and never changes."""

    default_reason = "REPORT_ISSUED"
