"""Which shard a tenant belongs to. One function, because every service has to agree on it for ever."""

from hashlib import blake2b


def shard_of(tenant: str, shards: int) -> int:
    """0 to shards - 1: the first eight bytes of BLAKE2b over the name, little endian, modulo `shards`."""
    if shards < 1:
        raise ValueError(f"{shards} shards")
    return int.from_bytes(blake2b(tenant.encode(), digest_size=8).digest(), "little") % shards
