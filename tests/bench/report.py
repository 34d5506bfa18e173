"""What a benchmark reports, and the table that people read.

A duty is a figure that must be reached; without one a row is for information.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `at_least` and `at_most` are duties."""

    what: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def duty(self) -> str:
        """The duty in words; empty when there is none."""
        if self.at_least is not None:
            return f">= {self.at_least:,g}"
        return f"<= {self.at_most:,g}" if self.at_most is not None else ""

    @property
    def held(self) -> bool:
        """Whether the duty holds; True when there is none."""
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)


def missed(rows: Sequence[Row]) -> list[Row]:
    """The rows whose duty does not hold."""
    return [row for row in rows if not row.held]


def show(title: str, rows: Sequence[Row], console: Console) -> None:
    """Print the rows as a table."""
    table = Table(title=title, title_justify="left")
    for name in ("what", "value", "unit", "duty", ""):
        table.add_column(name, justify="right" if name == "value" else "left")
    for row in rows:
        verdict = ("holds" if row.held else "MISSED") if row.duty else ""
        table.add_row(row.what, f"{row.value:,.4g}", row.unit, row.duty, verdict)
    console.print(table)
