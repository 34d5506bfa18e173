"""Token texts have one form, and only digests are kept."""

import re
import secrets
from types import SimpleNamespace

import pytest

from services.common.auth_tokens import (
    Role,
    TokenRecord,
    TokenTable,
    mint_token,
    same_digest,
    sha256_hex,
    split_token,
)


def test_a_minted_token_has_the_agreed_form():
    token = mint_token(secrets.token_bytes)

    assert re.fullmatch(r"tn_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", token.text)
    assert token.sha256 == sha256_hex(token.secret)
    assert split_token(token.text) == (token.token_id, token.secret)


def test_the_randomness_is_the_callers():
    token = mint_token(lambda size: bytes([0xFF]) * size, token_id="ci-writer")

    assert token.text == "tn_ci-writer_" + "_" * 42 + "8"
    assert split_token(token.text) == ("ci-writer", "_" * 42 + "8")


def test_no_repr_shows_the_secret():
    token = mint_token(secrets.token_bytes)

    assert token.secret not in repr(token)


@pytest.mark.parametrize(
    "text",
    ["", "tn_", "tn_abc", "tn_abc_short", "xx_abc_" + "a" * 43, "tn_ABC_" + "a" * 43, "tn_a_" + "a" * 500],
)
def test_what_is_no_token_is_not_split(text):
    assert split_token(text) is None


def test_digests_are_compared_by_content():
    assert same_digest("threenines", sha256_hex("threenines"))
    assert not same_digest("threenine", sha256_hex("threenines"))


def test_the_table_is_replaced_as_a_whole():
    table = TokenTable([TokenRecord("old", "acme", Role.READER, "00")])
    spec = SimpleNamespace(token_id="new", tenant="globex", role="writer", sha256="11", revoked=True)
    table.replace_from_specs([spec])

    assert table.lookup("old") is None
    assert table.lookup("new") == TokenRecord("new", "globex", Role.WRITER, "11", revoked=True)
