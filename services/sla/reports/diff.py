"""What changed between two revisions of a report: the base for telling who it was and why."""

from services.sla.reports.canonical import Json, parse, value_bytes
from services.sla.reports.leaves import Path, leaves, pointer
from services.sla.reports.model import Change

_OWN = {"revision", "replaces"}
_SOURCE = "provenance"


def changes_between(old: bytes, new: bytes, *, reason: str = "", actor: str = "") -> tuple[Change, ...]:
    """Every value that differs between two canonical contents, in the order of their paths.

    What a revision says of itself (`revision`, `replaces`) is left out. Of fractions, the exact value tells.

    Args:
        old, new: canonical contents.
        reason: code of why, such as LATE_DATA; the same for all.
        actor: who caused it.

    Raises:
        ValueError: one of them is not the content of a report.
    """
    before, after = _values(old), _values(new)
    return tuple(
        Change(pointer(path), _json(before, path), _json(after, path), reason, actor)
        for path in sorted(before.keys() | after.keys())
        if path not in before or path not in after or before[path] != after[path]
    )


def says_the_same(old: bytes, new: bytes) -> bool:
    """Whether two contents differ at most in what they were computed from: then no revision is needed."""
    return all(change.path.startswith(f"/{_SOURCE}/") for change in changes_between(old, new))


def _values(content: bytes) -> dict[Path, Json]:
    value = {key: one for key, one in parse(content).items() if key not in _OWN}
    # The decimals of a fraction follow from its exact value.
    return {path: leaf for path, leaf in leaves(value) if path[-1] != "decimal"}


def _json(values: dict[Path, Json], path: Path) -> str:
    return value_bytes(values[path]).decode() if path in values else ""
