"""The collector's part of the settings."""

import pytest

from services.collector.config import CollectorConfig
from services.common.errors import InvalidArgument
from services.common.settings import PortUse, Settings
from services.common.streams import STREAMS, StreamsConfig, stream_config


def test_takes_what_it_needs() -> None:
    config = CollectorConfig.from_settings(
        Settings(region="east", clickhouse_url="http://u:p@h:1", otlp_listen="127.0.0.1:0")
    )

    assert (config.write.region, config.otlp.listen) == ("east", "127.0.0.1:0")
    assert (config.clickhouse.host, config.clickhouse.port, config.clickhouse.user) == ("h", 1, "u")
    declared = stream_config(STREAMS[0], StreamsConfig())
    assert (declared["name"], declared["max_bytes"]) == ("OTLP", config.log_limit_bytes)


def test_a_wrong_url_is_refused_without_showing_it() -> None:
    with pytest.raises(InvalidArgument) as caught:
        CollectorConfig.from_settings(Settings(clickhouse_url="tcp://user:hush@h"))
    assert "hush" not in str(caught.value)


def test_workers_share_the_ports_and_the_memory_for_requests() -> None:
    settings = Settings(collector_workers=4, receive_memory_bytes=1 << 30)
    first, further = (
        CollectorConfig.from_settings(settings),
        CollectorConfig.from_settings(settings, joined=True),
    )

    assert {one.admission.max_bytes for one in (first, further)} == {1 << 28}
    assert {first.otlp.port_use, first.otlp_http.port_use} == {PortUse.SHARED}
    assert {further.otlp.port_use, further.otlp_http.port_use} == {PortUse.JOINED}
    assert first.admin.port_use is PortUse.ALONE


def test_one_process_shares_nothing() -> None:
    config = CollectorConfig.from_settings(Settings())

    assert {config.otlp.port_use, config.otlp_http.port_use} == {PortUse.ALONE}
    assert config.admission.max_bytes == Settings().receive_memory_bytes
