"""Reads just enough SQL to serve it: where an INSERT's data begins, which output format is asked for.

The engine parses the statement itself; this file never validates. It must not know HTTP or the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
    |(?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<other>[0-9][\w.]*|.)""",
    re.DOTALL | re.VERBOSE,
)


class InsertKind(Enum):
    """Where the rows of an INSERT come from."""

    DATA = "data"
    SELECT = "select"
    INFILE = "infile"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class InsertHead:
    """An INSERT cut into statement and data. `sql_end` and `data_start` are offsets into the scanned text."""

    kind: InsertKind
    format: str = ""
    sql_end: int = 0
    data_start: int = 0


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int
    depth: int
    word: str  # upper-cased when an unquoted word, else ""


def first_word(text: str) -> str:
    """The first unquoted word or symbol, upper-cased; "" for a text of blanks and comments."""
    for token in _tokens(text):
        return token.word or token.text
    return ""


def split_insert(text: str) -> InsertHead | None:
    """Cut an INSERT into statement and data; None when the text is no INSERT.

    Follows ParserInsertQuery: after `FORMAT name` blanks and one line feed are skipped, then data begins.
    """
    tokens = _tokens(text)
    first = next(tokens, None)
    if first is None or first.word != "INSERT":
        return None
    previous = first.word
    opened = wanted_format = False
    format_start = 0
    for token in tokens:
        if wanted_format:
            return InsertHead(InsertKind.DATA, token.text, format_start, _data_start(text, token.end))
        names_something = previous in {"INTO", "TABLE", "FUNCTION", "."}
        if token.word in {"SELECT", "WITH", "EXPLAIN"} and (
            token.depth == 0 or (opened and token.depth == 1)
        ):
            return InsertHead(InsertKind.SELECT)
        if token.depth == 0 and token.word and not names_something:
            if token.word == "VALUES":
                return InsertHead(InsertKind.DATA, "Values", token.start, token.end)
            if token.word == "FROM":
                return InsertHead(InsertKind.INFILE)
            if token.word == "FORMAT":
                wanted_format, format_start = True, token.start
        opened = token.text == "(" and token.depth == 0
        previous = token.word or token.text
    return InsertHead(InsertKind.UNKNOWN)


def output_format(text: str) -> str:
    """The name in a trailing FORMAT clause, or "" when the statement has none."""
    if re.search(r"\bformat\b", text, re.IGNORECASE) is None:
        return ""
    tokens = [token for token in _tokens(text) if token.depth == 0]
    for index in range(len(tokens) - 2, 0, -1):
        if (
            tokens[index].word == "FORMAT"
            and tokens[index + 1].word
            and tokens[index - 1].text not in {".", ","}
        ):
            after = tokens[index + 2].text.upper() if index + 2 < len(tokens) else ";"
            if after in {";", "SETTINGS", "INTO"}:
                return tokens[index + 1].text
    return ""


def writes_outfile(text: str) -> bool:
    """True when the statement has INTO OUTFILE, which would write a file on the server's host."""
    if re.search(r"\boutfile\b", text, re.IGNORECASE) is None:
        return False
    previous = ""
    for token in _tokens(text):
        if token.word == "OUTFILE" and previous == "INTO":
            return True
        previous = token.word
    return False


def reads_input(text: str) -> bool:
    """True when the statement calls input(), the table function that reads the request's body."""
    if re.search(r"\binput\b", text, re.IGNORECASE) is None:
        return False
    previous = ""
    for token in _tokens(text):
        if token.text == "(" and previous == "INPUT":
            return True
        previous = token.word
    return False


def quote(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _tokens(text: str) -> Iterator[_Token]:
    depth = 0
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "skip":
            continue
        value = match.group()
        if value in {")", "]", "}"}:
            depth = max(0, depth - 1)
        word = value.upper() if match.group("word") is not None else ""
        yield _Token(value, match.start(), match.end(), depth, word)
        if value in {"(", "[", "{"}:
            depth += 1


def _data_start(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\f":
        position += 1
    if text.startswith("\r\n", position):
        return position + 2
    return position + 1 if text.startswith("\n", position) else position
