"""Tables and figures for a terminal. Knows rich and plain values, nothing of the services."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


class Output(StrEnum):
    """What a command prints."""

    TABLE = "table"
    JSON = "json"


_WORDS_BY_COLOUR = {
    "green": ("PASS", "SERVING", "VERIFIED", "equal", "RESTORED", "NORMAL"),
    "bold red": ("FAIL", "FIRING", "BROKEN", "NOT SERVING", "failed", "FAILED", "DIFFERENT"),
    "yellow": ("INDETERMINATE", "NO_DATA", "PENDING", "RECOVERING", "starting", "restarting"),
    "magenta": ("ERROR",),
    "cyan": ("CREATED",),
}
_COLOURS = {word: colour for colour, words in _WORDS_BY_COLOUR.items() for word in words}


def coloured(word: str) -> str:
    """A state or verdict in the colour that people expect; unknown words stay plain."""
    colour = _COLOURS.get(word)
    return f"[{colour}]{word}[/]" if colour else word


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A borderless table; columns whose name starts with `>` are right-aligned."""
    made = Table(
        title=title,
        box=SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        made.add_column(
            column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    for row in rows:
        made.add_row(*(coloured(str(cell)) for cell in row))
    return made


def print_messages(console: Console, messages: Mapping[str, Message | Sequence[Message]]) -> None:
    """JSON in protobuf's own mapping, field names as in the contract."""
    body = {
        key: _plain(value) if isinstance(value, Message) else [_plain(each) for each in value]
        for key, value in messages.items()
    }
    console.print_json(json.dumps(body))


def _plain(message: Message) -> dict[str, object]:
    return dict(MessageToDict(message, preserving_proto_field_name=True))


def seconds(value: float) -> str:
    """A latency: milliseconds below one second, at most two decimals above."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{round(value, 2):g} s"


def duration(nanos: int) -> str:
    """A duration in the two largest units, e.g. `1 h 12 min`."""
    sign = "-" if nanos < 0 else ""
    left = abs(nanos) // 1_000_000_000
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return sign + (" ".join(parts[:2]) or "0 s")
