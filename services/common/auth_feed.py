"""Keeps the table of tokens equal to the Token documents in force.

The one way in which every service gets its Authenticator: created, changed and revoked tokens
take effect as soon as the feed has them. It decides nothing about who may do what.
"""

from services.common.auth import Authenticator, TokenTable
from services.common.config_feed import ConfigFeed
from services.common.documents_platform import TokenSpec
from services.common.settings import Settings


def build_authenticator(settings: Settings, feed: ConfigFeed) -> Authenticator:
    """An Authenticator whose tokens follow `feed`; call it when the feed has started."""
    table = TokenTable()
    follow_tokens(feed, table)
    return Authenticator(settings.auth, table, settings.admin_token_sha256, environment=settings.environment)


def follow_tokens(feed: ConfigFeed, table: TokenTable) -> None:
    """Fill `table` now and after every change of the feed."""

    def refresh() -> None:
        table.replace_from_specs(document.spec for document in feed.specs(TokenSpec))

    refresh()
    feed.on_change(refresh)
