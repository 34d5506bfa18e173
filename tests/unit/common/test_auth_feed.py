"""Tokens follow the configuration: created, they work; revoked, they are refused."""

import asyncio
import secrets

import pytest

from services.common.auth import Principal, Role, mint_token
from services.common.auth_feed import build_authenticator
from services.common.clock import SystemClock
from services.common.config_feed import ConfigFeed, apply_document
from services.common.documents import document_from_json
from services.common.errors import Unauthenticated
from services.common.log_memory import MemoryEngine
from services.common.settings import Settings


def token_document(token, *, revoked):
    spec = {"token_id": token.token_id, "tenant": "acme", "role": "reader", "sha256": token.sha256}
    named = {"kind": "Token", "name": token.token_id}
    return document_from_json({**named, "spec": {**spec, "revoked": revoked}})


async def test_a_token_works_from_its_creation_to_its_revocation():
    clock = SystemClock()
    log = MemoryEngine(clock).log
    feed = ConfigFeed(log, clock)
    await feed.start()
    authenticator = build_authenticator(Settings(), feed)
    token = mint_token(secrets.token_bytes)

    async def put(*, revoked):
        document = token_document(token, revoked=revoked)
        await asyncio.wait_for(
            feed.wait_for(await apply_document(log, document, actor="test", clock=clock)), 10
        )

    def reason():
        with pytest.raises(Unauthenticated) as caught:
            authenticator.authenticate(f"Bearer {token.text}")
        return caught.value.reason

    assert reason() == "TOKEN_UNKNOWN"
    await put(revoked=False)
    assert authenticator.authenticate(f"Bearer {token.text}") == Principal(
        "acme", Role.READER, token.token_id
    )
    await put(revoked=True)
    assert reason() == "TOKEN_REVOKED"
    await feed.stop()
