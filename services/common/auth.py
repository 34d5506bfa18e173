"""Who is calling, and may they: the one place where identity becomes permission.

The tenant comes from the credential and never from anything else that the caller sends.
`grpc_auth.py` brings the credential here; servicers' use cases ask `require_tenant`. This file
knows neither gRPC nor what any RPC does.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass

from services.common.auth_tokens import (
    PLATFORM_TENANT,
    MintedToken,
    Role,
    TokenRecord,
    TokenTable,
    mint_token,
    same_digest,
    sha256_hex,
    split_token,
)
from services.common.environment import ConfigurationError, Secret
from services.common.errors import PermissionDenied, Unauthenticated
from services.common.settings import AuthMode, Environment

__all__ = [
    "DEFAULT_TENANT",
    "PLATFORM_TENANT",
    "Authenticator",
    "MintedToken",
    "Principal",
    "Role",
    "TokenRecord",
    "TokenTable",
    "confirm_principal",
    "current_principal",
    "enter_principal",
    "leave_principal",
    "mint_token",
    "require_platform",
    "require_tenant",
    "sha256_hex",
]

DEFAULT_TENANT = "default"
_NO_TOKEN_ID = "none"  # noqa: S105 - the id shown for callers without a token
_ADMIN_TOKEN_ID = "bootstrap-admin"  # noqa: S105 - an id, not a secret
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential was checked. `tenant` is `*` for the platform's own tokens."""

    tenant: str
    role: Role
    token_id: str

    @property
    def platform(self) -> bool:
        """Whether this caller stands for the platform and not for one tenant."""
        return self.tenant == PLATFORM_TENANT

    def has_role(self, *roles: Role) -> bool:
        """Whether it has one of the roles; ADMIN has all of them, and no roles means any."""
        return not roles or self.role is Role.ADMIN or self.role in roles


_ANYONE = Principal(DEFAULT_TENANT, Role.ADMIN, _NO_TOKEN_ID)
_principal: ContextVar[Principal | None] = ContextVar("principal", default=None)
_again: ContextVar[Callable[[], Principal] | None] = ContextVar("again", default=None)


class Authenticator:
    """Turns the `authorization` metadata of a call into a Principal.

    Args:
        mode: TOKEN checks tokens; NONE believes everybody (laptop only).
        tokens: the table that the configuration feed keeps fresh.
        admin_sha256: digest of the whole text of the bootstrap admin token, if there is one.
        environment: PRODUCTION refuses mode NONE with ConfigurationError.
    """

    def __init__(
        self,
        mode: AuthMode | str,
        tokens: TokenTable,
        admin_sha256: str | Secret | None = None,
        *,
        environment: Environment = Environment.LAPTOP,
    ) -> None:
        self.mode = AuthMode(mode)
        if self.mode is AuthMode.NONE and environment is Environment.PRODUCTION:
            raise ConfigurationError(
                "THREENINES_AUTH: none is for the laptop; production needs token", field="THREENINES_AUTH"
            )
        self._tokens = tokens
        self._admin_sha256 = admin_sha256.reveal() if isinstance(admin_sha256, Secret) else admin_sha256

    def authenticate(self, authorization: str | None) -> Principal:
        """The caller behind an `authorization` value.

        Raises Unauthenticated: TOKEN_MISSING, TOKEN_UNKNOWN (also for a wrong secret: the two are
        not told apart) or TOKEN_REVOKED.
        """
        if self.mode is AuthMode.NONE:
            return _ANYONE
        text = _bearer_text(authorization)
        if self._admin_sha256 is not None and same_digest(text, self._admin_sha256):
            return Principal(PLATFORM_TENANT, Role.ADMIN, _ADMIN_TOKEN_ID)
        parts = split_token(text)
        record = None if parts is None else self._tokens.lookup(parts[0])
        if parts is None or record is None or not same_digest(parts[1], record.sha256):
            raise Unauthenticated(
                "this token is not known here",
                reason="TOKEN_UNKNOWN",
                next_step="Check the token, or ask an admin of your tenant for a new one.",
            )
        if record.revoked:
            raise Unauthenticated(
                "this token was revoked",
                reason="TOKEN_REVOKED",
                next_step="Ask an admin of your tenant for a new token.",
                metadata={"token_id": record.token_id},
            )
        return Principal(record.tenant, record.role, record.token_id)


def current_principal() -> Principal:
    """The caller of the RPC that is being served; Unauthenticated outside of one."""
    principal = _principal.get()
    if principal is None:
        raise Unauthenticated("this call has no checked identity", reason="TOKEN_MISSING")
    return principal


def confirm_principal() -> Principal:
    """The caller, its credential checked again: for calls that last long. From now on it is the caller.

    Raises Unauthenticated as `Authenticator.authenticate` does, once the token is revoked or gone.
    """
    again = _again.get()
    if again is None:
        return current_principal()
    principal = again()
    _principal.set(principal)
    return principal


def enter_principal(
    principal: Principal, again: Callable[[], Principal] | None = None
) -> Token[Principal | None]:
    """Make this the caller in the current context; give the result to `leave_principal`.

    `again` authenticates the same credential once more, for `confirm_principal`.
    """
    _again.set(again)
    return _principal.set(principal)


def leave_principal(token: Token[Principal | None]) -> None:
    """Undo `enter_principal`."""
    _principal.reset(token)


def require_tenant(tenant: str, *roles: Role) -> Principal:
    """The caller, if it may act on `tenant` with one of `roles` (none given = any role).

    Raises PermissionDenied: TENANT_MISMATCH for another tenant's token, ROLE_NOT_ALLOWED for the
    wrong role. The platform's tokens pass for every tenant; their role still counts.
    """
    principal = current_principal()
    if principal.tenant != tenant and not principal.platform:
        raise PermissionDenied(
            f"this credential belongs to tenant {principal.tenant}, not to {tenant}",
            reason="TENANT_MISMATCH",
            next_step="Use a token of that tenant.",
            metadata={"tenant": principal.tenant},
        )
    return _with_role(principal, roles)


def require_platform(*roles: Role) -> Principal:
    """The caller, if it stands for the platform; on a laptop without authentication, anybody does.

    Raises PermissionDenied: PLATFORM_ONLY, ROLE_NOT_ALLOWED.
    """
    principal = current_principal()
    if not principal.platform and principal != _ANYONE:
        raise PermissionDenied(
            "only the operators of the platform may do this",
            reason="PLATFORM_ONLY",
            next_step="Use a token of the platform, for example the bootstrap admin token.",
            metadata={"tenant": principal.tenant},
        )
    return _with_role(principal, roles)


def _with_role(principal: Principal, roles: tuple[Role, ...]) -> Principal:
    if principal.has_role(*roles):
        return principal
    needed = " or ".join(role.value for role in roles)
    raise PermissionDenied(
        f"this credential has the role {principal.role.value}; this needs {needed}",
        reason="ROLE_NOT_ALLOWED",
        next_step=f"Use a token with the role {needed}.",
        metadata={"role": principal.role.value},
    )


def _bearer_text(authorization: str | None) -> str:
    if authorization is None or not authorization.lower().startswith(_BEARER):
        raise Unauthenticated(
            "this call needs a token",
            reason="TOKEN_MISSING",
            next_step="Send the metadata `authorization: Bearer <token>`.",
        )
    return authorization[len(_BEARER) :].strip()
