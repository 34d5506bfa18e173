"""Native blocks as clients of a newer protocol revision expect them.

The engine's library writes Native of revision 0: no BlockInfo before a block. A chunk of a stream is one
block, so the eight bytes go in front of each; a whole result may hold several blocks and is cut here first.
"""

from __future__ import annotations

import os

from services.embedded.clickhouse_engine import Engine
from services.embedded.clickhouse_errors import Code, refuse
from services.embedded.clickhouse_formats import varint

# BlockInfo: field 1 is_overflows = 0, field 2 bucket_num = -1, end of fields.
_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_FIRST_REVISION_WITH_BLOCK_INFO = 51903
# From this revision on every column carries a serialisation byte that the engine here does not write.
_FIRST_REVISION_WITH_SERIALISATION = 54454


def block_prefix(fmt: str, revision: int) -> bytes:
    """What stands before each block for a client of this `client_protocol_version` (0 = none given).

    Raises ClickHouseError 48 for a revision whose Native this server cannot write.
    """
    if fmt.lower() != "native" or revision < _FIRST_REVISION_WITH_BLOCK_INFO:
        return b""
    if revision >= _FIRST_REVISION_WITH_SERIALISATION:
        raise refuse(
            Code.NOT_IMPLEMENTED,
            f"The embedded server writes Native only below revision {_FIRST_REVISION_WITH_SERIALISATION},"
            f" not {revision}: lower client_protocol_version or ask for another format.",
        )
    return _BLOCK_INFO


def prefix_blocks(engine: Engine, body: bytes, rows: int, prefix: bytes) -> bytes:
    """Put the prefix before every block of a whole result of `rows` rows."""
    if not body:
        return b""
    _, position = varint(body, 0)
    first_block_rows, _ = varint(body, position)
    if first_block_rows == rows:
        return prefix + body
    return b"".join(prefix + block for block in _blocks(engine, body))


def _blocks(engine: Engine, body: bytes) -> list[bytes]:
    """Cut Native bytes into blocks by letting the engine read them back as a stream."""
    memory = os.memfd_create("native")
    handle = engine.open_handle()
    try:
        with os.fdopen(memory, "wb", closefd=False) as file:
            file.write(body)
        sql = f"SELECT * FROM file('/proc/self/fd/{memory}', 'Native')"
        return [chunk.bytes() for chunk in handle.stream(sql, "Native", {})]
    finally:
        handle.close()
        os.close(memory)
