"""Client companies and their tokens, as documents of the CONFIG stream.

The stream is the only place where they live: every process folds it, so a revoked token is
refused everywhere. Of a token only the hash of its secret is stored.
"""

import base64
import re
from collections.abc import Awaitable, Callable

from services.collector.model import TenantInfo, TokenInfo, TokenPage
from services.collector.record import TICK_TENANT
from services.common.auth import Role, current_principal, mint_token, require_platform, require_tenant
from services.common.clock import Clock
from services.common.config_entries import subject_for
from services.common.config_feed import AppliedDocument, ConfigFeed, put_document
from services.common.documents import Document, Kind
from services.common.documents_platform import TenantSpec, TokenSpec
from services.common.errors import AlreadyExists, InvalidArgument, NotFound
from services.common.log_port import Log
from services.common.streams import CONFIG

_TENANT = re.compile(r"[a-z0-9-]{1,63}")
_TOKEN_ID = re.compile(r"[0-9a-f]{12}")
_MAX_NAME = 200
_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000


class Tenants:
    """The use cases about tenants and tokens; each checks who asks."""

    def __init__(
        self,
        *,
        log: Log,
        feed: ConfigFeed,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        followed: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """`followed` returns when every process that receives has a sequence of CONFIG; else this one's
        feed is enough."""
        self._followed = followed or feed.wait_for
        self._log = log
        self._feed = feed
        self._clock = clock
        self._random_bytes = random_bytes

    async def create_tenant(self, tenant: str, display_name: str) -> TenantInfo:
        """Create a tenant. Platform admins only.

        Raises:
            InvalidArgument: the id or the name.
            AlreadyExists: TENANT_EXISTS.
        """
        require_platform(Role.ADMIN)
        if _TENANT.fullmatch(tenant) is None or tenant == TICK_TENANT:
            raise InvalidArgument(
                f"a tenant id is 1 to 63 of a-z, 0-9 and -, and not {TICK_TENANT!r}", field="tenant_id"
            )
        if len(display_name) > _MAX_NAME:
            raise InvalidArgument(f"at most {_MAX_NAME} characters", field="tenant.display_name")
        if self._feed.get(Kind.TENANT, None, tenant) is not None:
            raise AlreadyExists(f"tenant {tenant} exists already", reason="TENANT_EXISTS")
        display_name = display_name or tenant
        await self._put(Document(Kind.TENANT, None, tenant, TenantSpec(display_name=display_name)))
        return TenantInfo(tenant, display_name, self._clock.now_ns())

    async def create_token(self, tenant: str, role: str, token_id: str) -> TokenInfo:
        """Create a token of a tenant; its secret is in the answer and nowhere else.

        Raises:
            InvalidArgument: the role or the id.
            NotFound: TENANT_UNKNOWN.
            AlreadyExists: TOKEN_EXISTS.
        """
        require_tenant(tenant, Role.ADMIN)
        if not role:
            raise InvalidArgument("a token needs a role", field="token.role")
        if token_id and _TOKEN_ID.fullmatch(token_id) is None:
            raise InvalidArgument("a token id is 12 hexadecimal digits", field="token_id")
        if self._feed.get(Kind.TENANT, None, tenant) is None:
            raise NotFound(
                f"tenant {tenant} does not exist",
                reason="TENANT_UNKNOWN",
                next_step="Create the tenant first.",
            )
        if token_id and self._feed.get(Kind.TOKEN, None, token_id) is not None:
            raise AlreadyExists(f"token {token_id} exists already", reason="TOKEN_EXISTS")
        minted = mint_token(self._random_bytes, token_id=token_id or None)
        spec = TokenSpec(token_id=minted.token_id, tenant=tenant, role=role, sha256=minted.sha256)
        await self._put(Document(Kind.TOKEN, None, minted.token_id, spec))
        return TokenInfo(minted.token_id, tenant, role, self._clock.now_ns(), secret=minted.text)

    async def revoke_token(self, tenant: str, token_id: str) -> TokenInfo:
        """Revoke a token for good; again changes nothing.

        Raises:
            NotFound: TOKEN_UNKNOWN, also when it belongs to another tenant.
        """
        require_tenant(tenant, Role.ADMIN)
        spec = self._token(tenant, token_id)
        if not spec.revoked:
            revoked = spec.model_copy(update={"revoked": True})
            await self._put(Document(Kind.TOKEN, None, token_id, revoked))
        return await self._info(self._token(tenant, token_id))

    async def list_tokens(
        self, tenant: str, *, page_size: int, page_token: str, show_inactive: bool
    ) -> TokenPage:
        """A page of a tenant's tokens, newest first.

        Raises:
            InvalidArgument: page size or token.
        """
        require_tenant(tenant, Role.ADMIN, Role.AUDITOR)
        size = _page_size(page_size)
        before = _page_start(page_token)
        found = [
            one
            for one in self._feed.specs(TokenSpec)
            if one.spec.tenant == tenant
            and (show_inactive or not one.spec.revoked)
            and (before is None or one.seq < before)
        ]
        found.sort(key=lambda one: one.seq, reverse=True)
        infos = [await self._info(one.spec) for one in found[:size]]
        return TokenPage(tuple(infos), _page_after(found[:size]) if len(found) > size else None)

    def _token(self, tenant: str, token_id: str) -> TokenSpec:
        found = self._feed.get(Kind.TOKEN, None, token_id)
        if found is None or not isinstance(found.spec, TokenSpec) or found.spec.tenant != tenant:
            raise NotFound(f"tenant {tenant} has no token {token_id}", reason="TOKEN_UNKNOWN")
        return found.spec

    async def _put(self, document: Document) -> None:
        """Apply and wait until it is seen, so that the next call sees it, whichever process takes it."""
        actor = current_principal().token_id
        applied = await put_document(self._log, document, actor=actor, clock=self._clock)
        await self._followed(applied.seq)

    async def _info(self, spec: TokenSpec) -> TokenInfo:
        entry = await self._log.last_entry(CONFIG, subject_for(Kind.TOKEN, None, spec.token_id))
        changed_ns = None if entry is None else entry.time_ns
        return TokenInfo(spec.token_id, spec.tenant, spec.role, changed_ns, revoked=spec.revoked)


def own_tenant() -> str:
    """The tenant of the caller's credential, for requests that name none.

    Raises:
        InvalidArgument: a platform credential belongs to no tenant.
    """
    principal = current_principal()
    if principal.platform:
        raise InvalidArgument("a platform credential must name the tenant", field="parent")
    return principal.tenant


def _page_size(asked: int) -> int:
    if asked < 0:
        raise InvalidArgument("a page size is not negative", field="page_size")
    return min(asked or _DEFAULT_PAGE, _LARGEST_PAGE)


def _page_start(page_token: str) -> int | None:
    if not page_token:
        return None
    try:
        return int(base64.urlsafe_b64decode(page_token.encode()))
    except ValueError as err:
        raise InvalidArgument("this page token is not one of ours", field="page_token") from err


def _page_after(page: list[AppliedDocument[TokenSpec]]) -> str:
    return base64.urlsafe_b64encode(str(page[-1].seq).encode()).decode()
