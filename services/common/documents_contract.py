"""`kind: Contract`: what was promised to one tenant, as its author wrote it.

Documents of one name with different `effective_from` are versions of one contract. Only meaning, no
computation: slices and verdicts are the business of the service that makes them.
"""

from datetime import date
from enum import StrEnum

from pydantic import Field, model_validator

from services.common.documents_contract_check import LONGEST_WINDOW_NS as LONGEST_WINDOW_NS
from services.common.documents_contract_check import contract_problems
from services.common.documents_contract_objectives import (
    AvailabilityObjective as AvailabilityObjective,
)
from services.common.documents_contract_objectives import (
    CompositeObjective as CompositeObjective,
)
from services.common.documents_contract_objectives import (
    DataAvailabilityObjective as DataAvailabilityObjective,
)
from services.common.documents_contract_objectives import (
    IncidentObjective as IncidentObjective,
)
from services.common.documents_contract_objectives import (
    LatencyObjective as LatencyObjective,
)
from services.common.documents_contract_objectives import Objective, ObjectiveSpec
from services.common.documents_contract_terms import (
    CreditsSpec,
    MaintenanceTerms,
    ReportsSpec,
    ServiceHoursSpec,
)
from services.common.documents_errors import FieldProblems
from services.common.documents_values import (
    Duration,
    Floor,
    PositiveDuration,
    Ratio,
    Share,
    Spec,
    TimeZone,
)


class NoDataPolicy(StrEnum):
    """How time without data counts in a verdict. It never counts as up by default."""

    EXCLUDE = "exclude"
    COUNT_DOWN = "count_down"
    COUNT_UP = "count_up"


class ContractSpec(Spec):
    """The promise to one tenant, from a date on, in the tenant's own calendar."""

    time_zone: TimeZone
    effective_from: date
    slice: PositiveDuration = Duration.parse("10s")
    down_above: Share = Ratio.parse("0.5")
    no_data: NoDataPolicy = NoDataPolicy.EXCLUDE
    coverage_floor: Floor = Ratio.parse("0.9")
    maintenance: MaintenanceTerms = MaintenanceTerms()
    service_hours: ServiceHoursSpec | None = None
    objectives: tuple[Objective, ...] = Field(min_length=1)
    credits: CreditsSpec | None = None
    reports: ReportsSpec | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "ContractSpec":
        problems = list(
            contract_problems(
                objectives=self.objectives,
                slice_length=self.slice,
                hours=self.service_hours,
                credit_terms=self.credits,
            )
        )
        if problems:
            raise FieldProblems(problems)
        return self

    def objective(self, name: str) -> ObjectiveSpec | None:
        """The objective of that name, if there is one."""
        return next((objective for objective in self.objectives if objective.name == name), None)
