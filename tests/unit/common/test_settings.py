"""The suite's settings: defaults that work on a laptop, strictness in production."""

from pathlib import Path

import pytest

from services.common.settings import AuthMode, ConfigurationError, Environment, Secret, Settings
from services.common.streams import StreamsConfig


@pytest.fixture
def certificate(tmp_path):
    files = {
        "THREENINES_TLS_CERT_FILE": tmp_path / "cert.pem",
        "THREENINES_TLS_KEY_FILE": tmp_path / "key.pem",
    }
    for each in files.values():
        each.write_text("pem")
    return {name: str(path) for name, path in files.items()}


def bad_variables(environ):
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(environ)
    return {each.field for each in caught.value.violations}


def test_an_empty_environment_is_a_laptop_with_tokens():
    settings = Settings.from_env({})

    assert settings == Settings()
    assert settings.environment is Environment.LAPTOP
    assert settings.auth is AuthMode.TOKEN
    assert settings.otlp_endpoint is None


def test_every_variable_reaches_its_field(certificate):
    settings = Settings.from_env(
        {
            **certificate,
            "THREENINES_ENVIRONMENT": "production",
            "THREENINES_REGION": "eu-west-1",
            "THREENINES_NATS_URL": "nats://n1:4222,nats://n2:4222",
            "THREENINES_CLICKHOUSE_URL": "https://writer:pw@ch:8443",
            "THREENINES_CLICKHOUSE_DATABASE": "sla_eu",
            "THREENINES_REDIS_URL": "rediss://r:6380/1",
            "THREENINES_AUTH": "token",
            "THREENINES_ADMIN_TOKEN_SHA256": "ab" * 32,
            "THREENINES_DATA_DIR": "/var/lib/threenines",
            "THREENINES_SLA_LISTEN": ":17710",
            "THREENINES_DRAIN_S": "3",
            "THREENINES_COLLECTOR_WORKERS": "4",
            "THREENINES_LOG_BYTES": "1099511627776",
            "THREENINES_LOG_REPLICAS": "3",
            "THREENINES_LOG_PLACEMENT_TAGS": "region:eu, disk:ssd",
            "THREENINES_LOG_LEVEL": "debug",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        }
    )

    assert settings.region == "eu-west-1"
    assert settings.clickhouse_database == "sla_eu"
    assert settings.admin_token_sha256 == Secret("ab" * 32)
    assert settings.backups_dir == Path("/var/lib/threenines/backups")
    assert settings.sla_listen == "127.0.0.1:17710"
    assert settings.server_config(settings.sla_listen).tls
    assert (settings.drain_s, settings.otlp_export_interval_ms) == (3, 5000)
    assert settings.collector_workers == 4
    streams = StreamsConfig.from_settings(settings)
    assert streams == StreamsConfig(1 << 40, 3, ("region:eu", "disk:ssd"))


def test_all_mistakes_are_reported_together():
    wrong = {
        "THREENINES_REGION": "EU West",
        "THREENINES_NATS_URL": "http://n",
        "THREENINES_AUTH": "maybe",
        "THREENINES_ADMIN_TOKEN_SHA256": "short",
        "THREENINES_DR_LISTEN": "nowhere",
        "THREENINES_CLICKHOUSE_DATABASE": "x; DROP",
        "THREENINES_LOG_LEVEL": "loud",
        "THREENINES_COLLECTOR_WORKERS": "0",
        "THREENINES_LOG_BYTES": "10",
        "THREENINES_LOG_REPLICAS": "6",
        "THREENINES_LOG_PLACEMENT_TAGS": "region:eu,a b",
    }

    assert bad_variables(wrong) == set(wrong)


def test_workers_must_each_have_some_memory_for_requests():
    environ = {"THREENINES_COLLECTOR_WORKERS": "4", "THREENINES_RECEIVE_MEMORY_BYTES": str(3 << 20)}

    assert bad_variables(environ) == {"THREENINES_RECEIVE_MEMORY_BYTES"}


def test_production_refuses_no_authentication(certificate):
    environ = {**certificate, "THREENINES_ENVIRONMENT": "production", "THREENINES_AUTH": "none"}

    assert bad_variables(environ) == {"THREENINES_AUTH"}


def test_production_refuses_plaintext_and_names_both_variables():
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({"THREENINES_ENVIRONMENT": "production"})

    assert "THREENINES_TLS_CERT_FILE and THREENINES_TLS_KEY_FILE" in caught.value.message


def test_a_certificate_without_its_key_is_refused(certificate):
    del certificate["THREENINES_TLS_KEY_FILE"]

    assert bad_variables(certificate) == {"THREENINES_TLS_KEY_FILE"}


def test_client_certificates_need_tls(certificate):
    environ = {"THREENINES_TLS_CLIENT_CA_FILE": certificate["THREENINES_TLS_CERT_FILE"]}

    assert bad_variables(environ) == {"THREENINES_TLS_CLIENT_CA_FILE"}


def test_no_secret_shows_in_the_repr_or_the_line_at_start():
    settings = Settings.from_env(
        {
            "THREENINES_CLICKHOUSE_URL": "http://writer:hunter-two@ch:8123",
            "THREENINES_NATS_URL": "nats://svc:hunter-two@n1:4222,nats://svc:hunter-two@n2:4222",
            "THREENINES_REDIS_URL": "redis://:hunter-two@r:6379",
            "THREENINES_ADMIN_TOKEN_SHA256": "cd" * 32,
        }
    )
    shown = f"{settings!r} {settings.describe()}"

    assert "hunter-two" not in shown
    assert "cdcd" not in shown
    assert "nats://n1:4222,nats://n2:4222" in settings.describe()
