"""Credentials become principals, and principals may only do what they may."""

import secrets

import pytest

from services.common.auth import (
    Authenticator,
    Principal,
    Role,
    TokenTable,
    current_principal,
    enter_principal,
    leave_principal,
    mint_token,
    require_platform,
    require_tenant,
    sha256_hex,
)
from services.common.auth_tokens import TokenRecord
from services.common.errors import PermissionDenied, Unauthenticated
from services.common.settings import ConfigurationError, Environment, Secret


@pytest.fixture
def acting():
    """Become a principal for the length of a test."""
    entered = []

    def become(tenant, role):
        principal = Principal(tenant, role, "t1")
        entered.append(enter_principal(principal))
        return principal

    yield become
    for token in reversed(entered):
        leave_principal(token)


def reason_of(authenticator, authorization):
    with pytest.raises(Unauthenticated) as caught:
        authenticator.authenticate(authorization)
    return caught.value.reason


def test_a_good_token_gives_its_tenant_and_role():
    token = mint_token(secrets.token_bytes)
    table = TokenTable([TokenRecord(token.token_id, "acme", Role.WRITER, token.sha256)])

    assert Authenticator("token", table).authenticate(f"Bearer {token.text}") == Principal(
        "acme", Role.WRITER, token.token_id
    )


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_is_read_in_any_case(scheme):
    token = mint_token(secrets.token_bytes)
    table = TokenTable([TokenRecord(token.token_id, "acme", Role.READER, token.sha256)])

    assert Authenticator("token", table).authenticate(f"{scheme} {token.text}").tenant == "acme"


@pytest.mark.parametrize("authorization", [None, "", "Basic abc", "tn_aa_bb"])
def test_no_bearer_token_is_a_missing_one(authorization):
    assert reason_of(Authenticator("token", TokenTable()), authorization) == "TOKEN_MISSING"


def test_a_wrong_secret_and_an_unknown_id_are_told_alike():
    known, other = mint_token(secrets.token_bytes), mint_token(secrets.token_bytes)
    authenticator = Authenticator(
        "token", TokenTable([TokenRecord(known.token_id, "acme", Role.READER, known.sha256)])
    )

    assert reason_of(authenticator, f"Bearer tn_{known.token_id}_{other.secret}") == "TOKEN_UNKNOWN"
    assert reason_of(authenticator, f"Bearer {other.text}") == "TOKEN_UNKNOWN"
    assert reason_of(authenticator, "Bearer garbage") == "TOKEN_UNKNOWN"
    assert reason_of(authenticator, "Bearer ключ") == "TOKEN_UNKNOWN"


def test_a_revoked_token_says_so_only_to_who_holds_its_secret():
    token, other = mint_token(secrets.token_bytes), mint_token(secrets.token_bytes)
    record = TokenRecord(token.token_id, "acme", Role.READER, token.sha256, revoked=True)
    authenticator = Authenticator("token", TokenTable([record]))

    assert reason_of(authenticator, f"Bearer {token.text}") == "TOKEN_REVOKED"
    assert reason_of(authenticator, f"Bearer tn_{token.token_id}_{other.secret}") == "TOKEN_UNKNOWN"


def test_the_bootstrap_admin_token_is_the_platform():
    text = mint_token(secrets.token_bytes).text
    authenticator = Authenticator("token", TokenTable(), Secret(sha256_hex(text)))
    principal = authenticator.authenticate(f"Bearer {text}")

    assert principal.platform
    assert principal.role is Role.ADMIN
    assert reason_of(authenticator, f"Bearer {text}x") == "TOKEN_UNKNOWN"


def test_without_authentication_everybody_is_admin_of_the_default_tenant():
    principal = Authenticator("none", TokenTable()).authenticate(None)

    assert (principal.tenant, principal.role) == ("default", Role.ADMIN)


def test_production_refuses_no_authentication():
    with pytest.raises(ConfigurationError, match="THREENINES_AUTH"):
        Authenticator("none", TokenTable(), environment=Environment.PRODUCTION)


def test_a_tenants_token_passes_for_its_tenant_only(acting):
    principal = acting("acme", Role.READER)

    assert require_tenant("acme", Role.READER, Role.OPERATOR) is principal
    with pytest.raises(PermissionDenied) as caught:
        require_tenant("globex", Role.READER)
    assert caught.value.reason == "TENANT_MISMATCH"


def test_the_wrong_role_is_denied_and_told_which_one_is_needed(acting):
    acting("acme", Role.WRITER)

    with pytest.raises(PermissionDenied) as caught:
        require_tenant("acme", Role.READER, Role.AUDITOR)
    assert caught.value.reason == "ROLE_NOT_ALLOWED"
    assert "reader or auditor" in caught.value.message


@pytest.mark.parametrize("role", list(Role))
def test_a_tenants_admin_has_every_role(acting, role):
    acting("acme", Role.ADMIN)

    assert require_tenant("acme", role).role is Role.ADMIN


def test_the_platform_passes_for_every_tenant_with_its_role_only(acting):
    acting("*", Role.OPERATOR)

    assert require_tenant("acme", Role.OPERATOR).platform
    with pytest.raises(PermissionDenied):
        require_tenant("acme", Role.WRITER)


def test_a_tenants_admin_is_not_the_platform(acting):
    acting("acme", Role.ADMIN)

    with pytest.raises(PermissionDenied) as caught:
        require_platform(Role.OPERATOR)
    assert caught.value.reason == "PLATFORM_ONLY"


def test_on_a_laptop_without_authentication_anybody_operates_the_platform():
    token = enter_principal(Authenticator("none", TokenTable()).authenticate(None))
    try:
        assert require_platform(Role.OPERATOR).tenant == "default"
    finally:
        leave_principal(token)


def test_outside_of_a_call_nobody_is_anybody():
    with pytest.raises(Unauthenticated):
        current_principal()
    with pytest.raises(Unauthenticated):
        require_tenant("acme")
