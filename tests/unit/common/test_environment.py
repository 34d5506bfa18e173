"""Variables are read strictly, all mistakes come together, and secrets stay hidden."""

from enum import StrEnum

import pytest

from services.common.environment import ConfigurationError, EnvironmentReader, Secret, redacted


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def problems_of(reader: EnvironmentReader) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        reader.finish()
    return {each.field: each.reason for each in caught.value.violations}


def test_every_bad_variable_is_reported_at_once():
    reader = EnvironmentReader(
        {"URL": "ftp://host", "PORT": "none", "COLOUR": "green", "COUNT": "7x", "NAME": "Upper"}
    )
    reader.url("URL", "http://a", schemes=("http",))
    reader.listen("PORT", "127.0.0.1:1")
    reader.choice("COLOUR", Colour.RED)
    reader.integer("COUNT", 1, low=0, high=9)
    reader.text("NAME", "name", pattern="[a-z]+")

    assert set(problems_of(reader)) == {"URL", "PORT", "COLOUR", "COUNT", "NAME"}


def test_good_variables_are_taken_and_finish_says_nothing():
    reader = EnvironmentReader({"COLOUR": "blue", "COUNT": "9", "URL": "http://user:pw@db:8123"})

    assert reader.choice("COLOUR", Colour.RED) is Colour.BLUE
    assert reader.integer("COUNT", 1, low=0, high=9) == 9
    assert reader.url("URL", "", schemes=("http",)) == "http://user:pw@db:8123"
    reader.finish()


def test_an_empty_variable_means_its_default():
    reader = EnvironmentReader({"COLOUR": "", "COUNT": " "})

    assert reader.choice("COLOUR", Colour.RED) is Colour.RED
    assert reader.integer("COUNT", 3, low=0, high=9) == 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [(":7700", "127.0.0.1:7700"), ("0.0.0.0:0", "0.0.0.0:0"), ("[::1]:4317", "[::1]:4317"), ("db:1", "db:1")],
)
def test_listen_addresses_are_read(value, expected):
    assert EnvironmentReader({"L": value}).listen("L", "x:1") == expected


@pytest.mark.parametrize("value", ["7700", "host:", "host:99999", "ho st:1", "::1:80:"])
def test_what_is_no_listen_address_is_refused(value):
    reader = EnvironmentReader({"L": value})
    reader.listen("L", "x:1")

    assert set(problems_of(reader)) == {"L"}


@pytest.mark.parametrize("value", ["http://", "http://host:notaport", "nats://[::1"])
def test_urls_that_cannot_be_used_are_refused(value):
    reader = EnvironmentReader({"U": value})
    reader.url("U", "", schemes=("http", "nats"))

    assert set(problems_of(reader)) == {"U"}


def test_several_urls_may_be_given_and_each_is_checked():
    reader = EnvironmentReader({"U": "nats://a:4222, nats://b:4222", "V": "nats://a:4222,http://b"})
    reader.url("U", "", schemes=("nats",))
    reader.url("V", "", schemes=("nats",))

    assert set(problems_of(reader)) == {"V"}


def test_a_secret_shows_in_no_repr_and_in_no_message():
    reader = EnvironmentReader({"S": "not-hex-but-secret", "T": "hush"})
    assert reader.secret("S", pattern="[0-9a-f]{64}") is None
    kept = reader.secret("T")

    assert kept == Secret("hush")
    assert "hush" not in f"{kept!r} {kept} {[kept]}"
    assert "secret" not in problems_of(reader)["S"]


def test_a_bad_url_never_shows_its_password():
    reader = EnvironmentReader({"U": "ftp://root:hunter-two@host"})
    reader.url("U", "", schemes=("http",))

    assert "hunter-two" not in problems_of(reader)["U"]
    assert redacted("http://root:hunter-two@db:8123/x") == "http://db:8123/x"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    reader = EnvironmentReader({"F": str(tmp_path / "absent.pem")})
    reader.readable_file("F")

    assert "absent.pem" in problems_of(reader)["F"]
