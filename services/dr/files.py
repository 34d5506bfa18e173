"""The backup store as a directory: `<backups>/<region>/<backup>/{data/...,manifest.json}`.

ClickHouse writes `data` without forcing it to disk, so that is done here before a backup is sealed.
All file calls happen in threads.
"""

import asyncio
import hashlib
import os
import shutil
from pathlib import Path

from services.common.errors import Unavailable
from services.dr.errors import UnreadableContent
from services.dr.model import FileDigest

_CHUNK = 1 << 20
_DATA = "data"
_MANIFEST = "manifest.json"


class DirectoryFileStore:
    """`FileStore` in a directory that ClickHouse sees under the same path."""

    def __init__(self, root: Path, *, region: str) -> None:
        self._root = root.absolute() / region

    def location(self, backup_id: str) -> str:
        """See `FileStore.location`."""
        return str(self._root / backup_id / _DATA)

    async def make_durable(self, backup_id: str) -> None:
        """See `FileStore.make_durable`."""
        try:
            await asyncio.to_thread(_sync_tree, self._root / backup_id)
        except OSError as err:
            raise _store_unavailable(err) from err

    async def inventory(self, backup_id: str) -> tuple[FileDigest, ...]:
        """See `FileStore.inventory`."""
        return await asyncio.to_thread(_inventory, self._root / backup_id / _DATA)

    async def write_manifest(self, backup_id: str, encoded: bytes) -> None:
        """See `FileStore.write_manifest`."""
        await asyncio.to_thread(_write_durably, self._root / backup_id / _MANIFEST, encoded)

    async def read_manifest(self, backup_id: str) -> bytes:
        """See `FileStore.read_manifest`."""
        path = self._root / backup_id / _MANIFEST
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError as err:
            raise UnreadableContent(f"{_MANIFEST} is missing", reason="MANIFEST_MISSING") from err
        except OSError as err:
            raise _store_unavailable(err) from err

    async def delete(self, backup_id: str) -> None:
        """See `FileStore.delete`."""
        try:
            await asyncio.to_thread(_remove, self._root / backup_id)
        except OSError as err:
            raise _store_unavailable(err) from err


def _inventory(root: Path) -> tuple[FileDigest, ...]:
    if not root.is_dir():
        return ()
    found = []
    for directory, _, names in os.walk(root):
        found += [_digest(Path(directory) / name, root) for name in names]
    return tuple(sorted(found, key=lambda each: each.path))


def _digest(path: Path, root: Path) -> FileDigest:
    sha256, size = hashlib.sha256(), 0
    name = path.relative_to(root).as_posix()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                sha256.update(chunk)
                size += len(chunk)
    except OSError:
        # A file that the disk cannot read is damage; it differs from every digest that was sealed.
        return FileDigest(name, -1, "")
    return FileDigest(name, size, sha256.hexdigest())


def _write_durably(path: Path, content: bytes) -> None:
    """A new file appears whole or not at all: write beside it, sync, rename, sync the directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".writing")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync(path.parent)
    _sync(path.parent.parent)


def _sync_tree(root: Path) -> None:
    for directory, _, names in os.walk(root):
        for name in names:
            _sync(Path(directory) / name)
        _sync(Path(directory))


def _sync(path: Path) -> None:
    """Force a file or a directory to disk; who wrote it does not matter."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(directory: Path) -> None:
    if directory.is_dir():
        shutil.rmtree(directory)


def _store_unavailable(err: OSError) -> Unavailable:
    return Unavailable(
        f"the backup store cannot be used: {err.strerror}",
        reason="BACKUP_STORE_UNAVAILABLE",
        next_step="Check THREENINES_BACKUPS_DIR: free space and rights.",
    )
