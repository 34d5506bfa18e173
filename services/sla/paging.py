"""Pages of lists: sizes, and tokens that only continue the request that they came from."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.sla.errors import BadPage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """size 0 means the default; `request` is what must stay the same from page to page."""

    size: int
    token: str
    request: bytes

    def limit(self, *, default: int, most: int) -> int:
        """How many to return.

        Raises:
            BadPage: a negative size.
        """
        if self.size < 0:
            raise BadPage("must not be negative", field="page_size")
        return min(self.size or default, most)

    def cursor(self) -> int | None:
        """Where to go on; None on the first page.

        Raises:
            BadPage: not a token of this very request.
        """
        if not self.token:
            return None
        try:
            record = json.loads(base64.urlsafe_b64decode(self.token.encode()))
            cursor, request = int(record["c"]), str(record["r"])
        except (binascii.Error, ValueError, KeyError, TypeError) as err:
            raise BadPage("is not a token of ours", field="page_token") from err
        if request != self._digest():
            raise BadPage("comes from a request with other fields", field="page_token")
        return cursor

    def next_token(self, cursor: int) -> str:
        """The token that continues at `cursor`."""
        record = json.dumps({"c": cursor, "r": self._digest()}, separators=(",", ":"))
        return base64.urlsafe_b64encode(record.encode()).decode()

    def _digest(self) -> str:
        return hashlib.blake2b(self.request, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list; an empty token on the last page."""

    items: Sequence[T]
    next_token: str


def page_of(items: Sequence[T], page: PageRequest, *, default: int = 100, most: int = 1000) -> Page[T]:
    """The page of a list that is at hand, by position."""
    size = page.limit(default=default, most=most)
    start = page.cursor() or 0
    more = start + size < len(items)
    return Page(items[start : start + size], page.next_token(start + size) if more else "")
