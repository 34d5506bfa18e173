"""Reads configuration variables and collects every mistake before it complains.

A composition root should say everything that is wrong in one go, not one thing each start. This
file knows how to read a variable; it must not know which variables exist (`settings.py` and each
service's `config.py` do), and it must never put a secret's value into a message.
"""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from services.common.errors import FailedPrecondition, FieldViolation

E = TypeVar("E", bound=StrEnum)

_LISTEN = re.compile(r"^(?P<host>\[[0-9a-fA-F:.]+\]|[^:\s]+):(?P<port>\d{1,5})$")


class ConfigurationError(FailedPrecondition):
    """The process cannot start as it is configured; `violations` names each variable."""

    default_reason = "CONFIGURATION"


class Secret:
    """A text that must not appear in logs, reprs or messages."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def redacted(url: str) -> str:
    """The URL without its user and password, for logs and messages."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host).geturl()


def process_environment() -> Mapping[str, str]:
    """This process's environment: the only place outside composition roots that touches it."""
    return os.environ  # noqa: TID251 - one door, so that everything else takes a mapping


class EnvironmentReader:
    """Reads variables, keeps going after a bad one, and `finish()` raises all of them together."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[FieldViolation] = []

    def problem(self, variable: str, reason: str) -> None:
        """Record that `variable` is wrong; used for rules between variables."""
        self._problems.append(FieldViolation(variable, reason))

    def finish(self) -> None:
        """Raise ConfigurationError when any variable was wrong."""
        if self._problems:
            lines = "; ".join(f"{each.field}: {each.reason}" for each in self._problems)
            raise ConfigurationError(f"bad configuration: {lines}", violations=self._problems)

    def text(self, variable: str, default: str = "", *, pattern: str | None = None) -> str:
        """A plain text, optionally one that must match `pattern` from end to end."""
        value = self._environ.get(variable, "").strip() or default
        if pattern is not None and value and re.fullmatch(pattern, value) is None:
            self.problem(variable, f"{value!r} does not match {pattern}")
            return default
        return value

    def secret(self, variable: str, *, pattern: str | None = None) -> Secret | None:
        """A text whose value is never shown; None when unset."""
        value = self._environ.get(variable, "").strip()
        if not value:
            return None
        if pattern is not None and re.fullmatch(pattern, value) is None:
            self.problem(variable, f"its value (not shown) does not match {pattern}")
            return None
        return Secret(value)

    def choice(self, variable: str, default: E) -> E:
        """One of the values of the default's enum."""
        value = self._environ.get(variable, "").strip()
        if not value:
            return default
        try:
            return type(default)(value)
        except ValueError:
            allowed = ", ".join(type(default))
            self.problem(variable, f"{value!r} is not one of {allowed}")
            return default

    def url(self, variable: str, default: str, *, schemes: tuple[str, ...]) -> str:
        """A URL with one of the schemes and a host; several may be given, separated by commas."""
        value = self._environ.get(variable, "").strip() or default
        for part in value.split(",") if value else ():
            reason = _url_problem(part.strip(), schemes)
            if reason:
                self.problem(variable, reason)
        return value

    def listen(self, variable: str, default: str) -> str:
        """`host:port`, `[v6]:port` or `:port` (meaning the loopback address); port 0 = any."""
        value = self._environ.get(variable, "").strip() or default
        if value.startswith(":"):
            value = f"127.0.0.1{value}"
        match = _LISTEN.match(value)
        if match is None or int(match["port"]) > 65535:
            self.problem(variable, f"{value!r} is not host:port")
            return default
        return value

    def path(self, variable: str, default: str = "") -> Path | None:
        """A file or directory name, not checked for existence; None when unset without default."""
        value = self._environ.get(variable, "").strip() or default
        return Path(value) if value else None

    def texts(self, variable: str, *, pattern: str) -> tuple[str, ...]:
        """Texts separated by commas, each of which must match `pattern`; empty when unset."""
        values = tuple(part.strip() for part in self._environ.get(variable, "").split(",") if part.strip())
        bad = [value for value in values if re.fullmatch(pattern, value) is None]
        if bad:
            self.problem(variable, f"{', '.join(map(repr, bad))}: does not match {pattern}")
            return ()
        return values

    def readable_file(self, variable: str) -> Path | None:
        """A file that must exist and be readable by this process."""
        name = self.path(variable)
        if name is not None and not (name.is_file() and os.access(name, os.R_OK)):
            self.problem(variable, f"{name} is not a readable file")
            return None
        return name

    def integer(self, variable: str, default: int, *, low: int, high: int) -> int:
        """A whole number within [low, high]."""
        value = self._environ.get(variable, "").strip()
        if not value:
            return default
        if re.fullmatch(r"-?\d{1,18}", value) is None or not low <= int(value) <= high:
            self.problem(variable, f"{value!r} is not a whole number from {low} to {high}")
            return default
        return int(value)


def _url_problem(url: str, schemes: tuple[str, ...]) -> str | None:
    """Why this is not a URL we can use; the password is never part of the answer."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return "is not a URL (its host or port cannot be read)"
    if parts.scheme not in schemes:
        return f"must start with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    return None if host or parts.scheme == "unix" else "has no host"
