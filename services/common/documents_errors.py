"""Every wrong thing in a set of documents, told at once.

A person fixes a configuration in one go only when all errors are listed with the place of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.common.errors import FieldViolation, InvalidArgument


@dataclass(frozen=True, slots=True)
class DocumentError:
    """One error: which file, which document in it (counted from 1), which field, and why."""

    file: str
    document: int
    kind: str
    name: str
    field: str
    reason: str

    def __str__(self) -> str:
        what = f"{self.kind or 'document'} {self.name}".strip()
        where = f"{self.file}, document {self.document}" if self.document else self.file
        return f"{where} ({what}): {self.field}: {self.reason}" if self.field else f"{where}: {self.reason}"


class FieldProblems(ValueError):
    """Several things wrong inside one spec: (field path below it, reason) each. For validators."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in problems))


class DocumentErrors(InvalidArgument):
    """The documents cannot be used; `errors` lists all that is wrong."""

    default_reason = "BAD_DOCUMENTS"

    def __init__(self, errors: Sequence[DocumentError]) -> None:
        self.errors = tuple(errors)
        count = len(self.errors)
        super().__init__(
            f"{count} error{'s' if count != 1 else ''} in the configuration:\n" + "\n".join(map(str, errors)),
            violations=[
                FieldViolation(f"{error.file}#{error.document} {error.field}".strip(), error.reason)
                for error in self.errors
            ],
            next_step="correct the documents and check again with `threenines config check`",
        )
