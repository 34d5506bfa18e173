"""Bodies are decoded whatever the pieces they come in; broken ones are refused."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from services.embedded.clickhouse_body import Body, choose_encoding, encoder
from services.embedded.clickhouse_errors import ClickHouseError

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstandard.compress,
}
DATA = b"".join(b"%d\trow\n" % i for i in range(5_000))


def body(pieces: list[bytes], encoding: str) -> Body:
    rest = iter(pieces[1:])
    return Body(pieces[0], lambda: next(rest, None), encoding)


def read_all(source: Body) -> bytes:
    return b"".join(iter(source.read, None))


@given(encoding=st.sampled_from(sorted(ENCODERS)), size=st.integers(1, 5_000))
def test_pieces_of_any_size_decode_to_the_same_bytes(encoding: str, size: int) -> None:
    packed = ENCODERS[encoding](DATA)
    pieces = [packed[i : i + size] for i in range(0, len(packed), size)]
    assert read_all(body(pieces, encoding)) == DATA


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
def test_frames_one_after_the_other_are_one_body(encoding: str) -> None:
    packed = ENCODERS[encoding](b"one,") + ENCODERS[encoding](b"two")
    assert read_all(body([packed], encoding)) == b"one,two"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
def test_a_cut_or_foreign_body_is_refused(encoding: str) -> None:
    for packed in (ENCODERS[encoding](DATA)[:-5], b"not compressed at all"):
        with pytest.raises(ClickHouseError) as caught:
            read_all(body([packed], encoding))
        assert caught.value.code == 271


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ClickHouseError) as caught:
        body([b""], "br")
    assert caught.value.code == 89


def test_reading_up_to_a_size_leaves_the_rest() -> None:
    source = body([b"abc", b"def", b"ghi"], "")
    assert source.read_up_to(4) == b"abcdef"
    assert read_all(source) == b"ghi"
    assert source.read() is None


@pytest.mark.parametrize("name", ["gzip", "deflate", "lz4", "zstd"])
def test_what_is_encoded_decodes(name: str) -> None:
    compressor = encoder(name)
    packed = [compressor.compress(DATA), compressor.compress(DATA), compressor.flush()]
    assert read_all(body([b"".join(packed)], name)) == DATA + DATA
    assert read_all(body([encoder(name).flush()], name)) == b""


def test_the_response_encoding_is_one_that_was_offered() -> None:
    assert choose_encoding("zstd, gzip;q=0.9") == "gzip"
    assert choose_encoding("br, lz4") == "lz4"
    assert choose_encoding("") == choose_encoding("br") == ""
