"""Request bodies as a stream of decoded bytes, and encoders for responses.

A worker thread pulls; nothing is read ahead of it, so a slow engine slows the sender down.
Must not know SQL or the engine.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame
import zstandard

from services.embedded.clickhouse_errors import Code, refuse


class _Decoder(Protocol):
    def decode(self, data: bytes) -> bytes: ...
    def finish(self) -> None: ...


class _Identity:
    def decode(self, data: bytes) -> bytes:
        return data

    def finish(self) -> None:
        return


class _Framed:
    """Decodes any number of compressed frames, one after the other; a cut frame is an error."""

    def __init__(self, name: str, new: Callable[[], object]) -> None:
        self._name = name
        self._new = new
        self._current: object | None = None

    def decode(self, data: bytes) -> bytes:
        out: list[bytes] = []
        while data:
            if self._current is None:
                self._current = self._new()
            current = self._current
            try:
                out.append(current.decompress(data))  # type: ignore[attr-defined]
            except (zlib.error, zstandard.ZstdError, RuntimeError) as error:
                raise refuse(
                    Code.CANNOT_DECOMPRESS, f"Cannot decode the {self._name} body: {error}."
                ) from error
            if not current.eof:  # type: ignore[attr-defined]
                break
            data = current.unused_data or b""  # type: ignore[attr-defined]
            self._current = None
        return b"".join(out)

    def finish(self) -> None:
        if self._current is not None:
            raise refuse(Code.CANNOT_DECOMPRESS, f"The {self._name} body ends before its last frame does.")


def decoder(encoding: str) -> _Decoder:
    """A decoder for a Content-Encoding. Raises ClickHouseError 89 for one that is not known."""
    makers: dict[str, Callable[[], object]] = {
        "gzip": lambda: zlib.decompressobj(wbits=31),
        "deflate": lambda: zlib.decompressobj(wbits=15),
        "lz4": lz4.frame.LZ4FrameDecompressor,
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    }
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return _Identity()
    if name not in makers:
        raise refuse(
            Code.UNKNOWN_COMPRESSION_METHOD, f"Unknown compression method '{encoding}' of the request."
        )
    return _Framed(name, makers[name])


class Body:
    """Decoded request body. `first` was read beforehand; `pull` blocks for more (None = end)."""

    def __init__(self, first: bytes, pull: Callable[[], bytes | None], encoding: str = "") -> None:
        self._first: bytes | None = first
        self._pull = pull
        self._decoder = decoder(encoding)
        self._ended = False

    def read(self) -> bytes | None:
        """The next decoded bytes (never empty), or None at the end.

        Raises ClientGoneError when the sender left early, ClickHouseError when the encoding is broken.
        """
        while not self._ended:
            raw = self._first if self._first is not None else self._pull()
            self._first = None
            if raw is None:
                self._ended = True
                self._decoder.finish()
                return None
            decoded = self._decoder.decode(raw)
            if decoded:
                return decoded
        return None

    def read_up_to(self, size: int) -> bytes:
        """Read until at least `size` bytes are there or the body ends."""
        parts: list[bytes] = []
        total = 0
        while total < size and (part := self.read()) is not None:
            parts.append(part)
            total += len(part)
        return b"".join(parts)


class Encoder(Protocol):
    """A streaming compressor."""

    def compress(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


class _Lz4Encoder:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor(auto_flush=True)
        self._begun = False

    def compress(self, data: bytes) -> bytes:
        head = b"" if self._begun else self._frame.begin()
        self._begun = True
        return bytes(head + self._frame.compress(data))

    def flush(self) -> bytes:
        head = b"" if self._begun else self._frame.begin()
        return bytes(head + self._frame.flush())


def choose_encoding(accept: str) -> str:
    """The response encoding for an Accept-Encoding header: the server's order, "" for none."""
    offered = {part.split(";")[0].strip().lower() for part in accept.split(",")}
    return next((name for name in ("lz4", "gzip", "deflate", "zstd") if name in offered), "")


def encoder(name: str) -> Encoder:
    """A compressor for an encoding that `choose_encoding` returned."""
    if name == "lz4":
        return _Lz4Encoder()
    if name == "zstd":
        return zstandard.ZstdCompressor(level=1).compressobj()
    return zlib.compressobj(level=3, wbits=31 if name == "gzip" else 15)
