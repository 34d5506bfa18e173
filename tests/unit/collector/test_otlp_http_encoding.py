"""Decompression: complete or refused, in steps that are paid for, never past the limit."""

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard

from services.collector.errors import RequestTooLarge
from services.collector.otlp_http_encoding import check_encoding, decompress
from services.collector.otlp_http_errors import UnsupportedEncoding, WrongBody
from services.common.errors import Unavailable

_LIMIT = 4 << 20


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


COMPRESS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate-raw": ("deflate", _raw_deflate),
    "zstd": ("zstd", zstandard.compress),
    "zstd-checksum": ("zstd", zstandard.ZstdCompressor(write_checksum=True).compress),
    "zstd-no-size": ("zstd", zstandard.ZstdCompressor(write_content_size=False).compress),
}


def free(_size: int) -> None:
    """Costs nothing."""


def expanded(encoding: str, body: bytes, limit: int = _LIMIT) -> bytes:
    """Decompress without a budget."""
    return decompress(encoding, body, max_bytes=limit, pay=free)


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("size", [0, 1, 1000, 262_144, 3_000_000])
def test_what_was_compressed_comes_back_and_is_paid_for(name: str, size: int) -> None:
    encoding, compress = COMPRESS[name]
    data = random.Random(size).randbytes(size // 2) + b"x" * (size - size // 2)
    paid: list[int] = []

    assert decompress(encoding, compress(data), max_bytes=_LIMIT, pay=paid.append) == data
    assert sum(paid) == size
    assert max(paid, default=0) <= 600_000


@pytest.mark.parametrize("name", COMPRESS)
def test_a_body_that_is_cut_anywhere_is_refused(name: str) -> None:
    encoding, compress = COMPRESS[name]
    good = compress(random.Random(1).randbytes(300) + b"x" * 300)
    assert expanded(encoding, good)
    for end in range(len(good)):
        with pytest.raises(WrongBody):
            expanded(encoding, good[:end])


@pytest.mark.parametrize("name", COMPRESS)
def test_what_follows_the_end_is_refused(name: str) -> None:
    encoding, compress = COMPRESS[name]
    with pytest.raises(WrongBody):
        expanded(encoding, compress(b"data") + b"\x00more")


@pytest.mark.parametrize("name", ["gzip", "zstd-checksum"])
def test_a_wrong_checksum_is_refused(name: str) -> None:
    encoding, compress = COMPRESS[name]
    good = bytearray(compress(b"data" * 100))
    good[-5 if encoding == "gzip" else -1] ^= 1
    with pytest.raises(WrongBody):
        expanded(encoding, bytes(good))


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_parts_behind_each_other_are_one_body(name: str) -> None:
    encoding, compress = COMPRESS[name]

    assert (
        expanded(encoding, compress(b"a" * 500_000) + compress(b"") + compress(b"b")) == b"a" * 500_000 + b"b"
    )


@pytest.mark.parametrize("name", COMPRESS)
def test_exactly_the_limit_passes_and_one_byte_more_does_not(name: str) -> None:
    encoding, compress = COMPRESS[name]
    data = random.Random(1).randbytes(1000) * 300

    assert expanded(encoding, compress(data), len(data)) == data
    with pytest.raises(RequestTooLarge):
        expanded(encoding, compress(data), len(data) - 1)


@pytest.mark.parametrize("name", COMPRESS)
def test_a_bomb_is_never_expanded_past_the_limit(name: str) -> None:
    """256 MiB of zeros: what Python allocates meanwhile stays near the limit."""
    encoding, compress = COMPRESS[name]
    body = compress(bytes(256 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(RequestTooLarge):
            expanded(encoding, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < _LIMIT + (4 << 20)


def test_a_body_ends_when_its_budget_does() -> None:
    paid: list[int] = []

    def pay(size: int) -> None:
        paid.append(size)
        if len(paid) == 2:
            raise Unavailable("no more")

    with pytest.raises(Unavailable):
        decompress("gzip", gzip.compress(bytes(2 << 20)), max_bytes=_LIMIT, pay=pay)
    assert len(paid) == 2


def test_zstd_with_a_window_beyond_the_recommended_one_is_refused() -> None:
    """RFC 9659: 8 MiB is what must be supported; more is memory that the sender chooses."""
    parameters = zstandard.ZstdCompressionParameters(window_log=25, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = compressor.compress(b"x" * 100) + compressor.flush()
    with pytest.raises(WrongBody):
        expanded("zstd", body)


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("", "identity"),
        ("identity", "identity"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        (" zstd", "zstd"),
        ("deflate", "deflate"),
    ],
)
def test_encodings_have_one_name(given: str, known: str) -> None:
    assert check_encoding(given) == known


@pytest.mark.parametrize("given", ["br", "gzip,gzip", "gzip, identity", "*", "x-"])
def test_other_encodings_are_refused(given: str) -> None:
    if given == "x-":
        assert check_encoding(given) == "identity"
        return
    with pytest.raises(UnsupportedEncoding):
        check_encoding(given)


def test_identity_is_not_touched() -> None:
    body = b"as it is"

    assert expanded("identity", body) is body
