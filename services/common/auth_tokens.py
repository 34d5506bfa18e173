"""API tokens: their text, what is stored of them, and the table they are looked up in.

A token is `tn_<token id>_<secret>`. Only the SHA-256 of the secret is ever stored; 256 random
bits need no slow hash. This file knows nothing of gRPC, and it never logs a token.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

PLATFORM_TENANT = "*"

# The id has no underscore, so the first one after it ends it; the secret may hold more of them.
_TOKEN = re.compile(r"tn_(?P<token_id>[a-z0-9-]{1,63})_(?P<secret>[A-Za-z0-9_-]{20,128})")


class Role(StrEnum):
    """What a credential may do. Roles do not include one another, except that ADMIN has all."""

    WRITER = "writer"
    READER = "reader"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is stored of a token; `sha256` is the hex digest of its secret."""

    token_id: str
    tenant: str
    role: Role
    sha256: str
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A new token; `text` is shown once and stored nowhere."""

    token_id: str
    secret: str
    sha256: str

    @property
    def text(self) -> str:
        """The whole token as the caller sends it."""
        return f"tn_{self.token_id}_{self.secret}"

    def __repr__(self) -> str:
        return f"MintedToken(token_id={self.token_id!r})"


def mint_token(rng: Callable[[int], bytes], *, token_id: str | None = None) -> MintedToken:
    """Make a token from `rng`, a source of that many random bytes (`secrets.token_bytes`).

    The id is 12 hex characters unless given; the secret is 256 bits as 43 URL-safe characters.
    """
    secret = urlsafe_b64encode(rng(32)).rstrip(b"=").decode("ascii")
    return MintedToken(token_id or rng(6).hex(), secret, sha256_hex(secret))


def sha256_hex(text: str) -> str:
    """The SHA-256 of a text as 64 hex characters."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def same_digest(text: str, sha256: str) -> bool:
    """Whether the text has this digest, in time that does not depend on where they differ."""
    return hmac.compare_digest(sha256_hex(text), sha256)


def split_token(text: str) -> tuple[str, str] | None:
    """The (token id, secret) of a token's text, or None when it is not one of ours."""
    match = _TOKEN.fullmatch(text)
    return None if match is None else (match["token_id"], match["secret"])


class TokenSpec(Protocol):
    """A Token document as the configuration feed hands it out."""

    @property
    def token_id(self) -> str:
        """The public id."""
        ...

    @property
    def tenant(self) -> str:
        """The tenant, or `*` for the platform's own."""
        ...

    @property
    def role(self) -> str:
        """One of the values of Role."""
        ...

    @property
    def sha256(self) -> str:
        """Hex digest of the secret."""
        ...

    @property
    def revoked(self) -> bool:
        """Whether it must be refused."""
        ...


class TokenTable:
    """All tokens known to this process, swapped as a whole when the configuration changes.

    Lookups happen on the event loop; `replace` may be called from there at any time.
    """

    def __init__(self, records: Iterable[TokenRecord] = ()) -> None:
        self._records: Mapping[str, TokenRecord] = MappingProxyType({})
        self.replace(records)

    def lookup(self, token_id: str) -> TokenRecord | None:
        """The token with that id, revoked ones included; None when there is none."""
        return self._records.get(token_id)

    def replace(self, records: Iterable[TokenRecord]) -> None:
        """Forget everything known and know these."""
        self._records = MappingProxyType({record.token_id: record for record in records})

    def replace_from_specs(self, specs: Iterable[TokenSpec]) -> None:
        """The same from the feed's Token documents: `table.replace_from_specs(d.spec for d in ...)`."""
        self.replace(
            TokenRecord(spec.token_id, spec.tenant, Role(spec.role), spec.sha256, spec.revoked)
            for spec in specs
        )
