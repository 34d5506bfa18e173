"""Moments as people type them: RFC 3339, or how long ago."""

from datetime import UTC, datetime

import typer

from services.common.documents_values import Duration

HELP = "RFC 3339 such as 2026-11-01T08:00:00Z, or how long ago, such as 90m or 7d."


def parse_time(text: str, *, now_ns: int, option: str) -> int:
    """Unix nanoseconds. A time without a zone is UTC.

    Raises:
        BadParameter: neither form.
    """
    try:
        return now_ns - Duration.parse(text).ns
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"must be {HELP}", param_hint=option) from None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since = aware - datetime.fromtimestamp(0, UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def parse_pairs(pairs: list[str] | None, *, option: str) -> dict[str, str]:
    """`key=value` texts as a mapping.

    Raises:
        BadParameter: one has no `=`.
    """
    found: dict[str, str] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{pair!r} is not key=value", param_hint=option)
        found[key] = value
    return found
