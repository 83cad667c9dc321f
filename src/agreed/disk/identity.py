"""Who a data directory is: the file `identity`, and the lock on the directory.

The identity is a random number made with the directory.  The cluster counts votes by it: a node that lost
its disk has forgotten what it promised, and must not speak under the old number.  `life` counts the starts:
it is incremented and made durable before anything else happens, so requests which a node made in an earlier
life are never mistaken for those of its present one.

    "agreedID" (8), format version (4), length (4), msgpack of DirectoryIdentity, CRC32C of all before (4)

The file is replaced as a whole, never changed in place.
"""
from __future__ import annotations

import struct
from pathlib import Path

import msgspec
from google_crc32c import value as crc32c

from agreed.disk.files import Files, Lock, disk_failure, replace_file
from agreed.errors import ConfigurationError, CorruptData
from agreed.types import Identity, NodeId

FORMAT_VERSION = 1
IDENTITY_FILE = "identity"
LOCK_FILE = "lock"

_MAGIC = b"agreedID"
_HEAD = struct.Struct("<8sII")
_CHECKSUM = struct.Struct("<I")


class DirectoryInUse(ConfigurationError):
    """By another process, as long as that lives."""


class DirectoryIdentity(msgspec.Struct, frozen=True, array_like=True):
    """What the file holds.

    `cluster` is 0 until the node knows which cluster it belongs to.  `initial_members` are opaque bytes here:
    the set of members that was agreed on when the cluster was made, empty until known.  `consensus` is the
    protocol whose promises lie here.
    """

    identity: Identity
    name: NodeId
    life: int
    cluster: int = 0
    initial_members: bytes = b""
    consensus: str = "raft"


def read_identity(directory: Path, files: Files) -> DirectoryIdentity | None:
    """None where there is no such file.  Raises CorruptData, DiskFailed."""
    path = directory / IDENTITY_FILE
    with disk_failure(path, "reading"):
        try:
            file = files.open_for_reading(path)
        except FileNotFoundError:
            return None
        try:
            data = file.read(0, file.size())
        finally:
            file.close()
    body_end = len(data) - _CHECKSUM.size
    if (
        body_end < _HEAD.size
        or not data.startswith(_MAGIC)
        or _CHECKSUM.unpack_from(data, body_end)[0] != crc32c(data[:body_end])
    ):
        raise CorruptData(
            f"{path}, offset 0: does not match its checksum.  Without it nobody knows what this node has "
            "promised to whom: let it join the cluster again with an empty data directory."
        )
    _, version, length = _HEAD.unpack_from(data)
    if version != FORMAT_VERSION:
        raise CorruptData(
            f"{path}: written in format {version}, this version reads format {FORMAT_VERSION}.  "
            "Start the version that wrote it."
        )
    try:
        return msgspec.msgpack.decode(data[_HEAD.size : _HEAD.size + length], type=DirectoryIdentity)
    except (msgspec.DecodeError, ValueError) as error:
        raise CorruptData(f"{path}, offset {_HEAD.size}: makes no sense: {error}") from error


def write_identity(directory: Path, files: Files, value: DirectoryIdentity) -> None:
    """Put it in the old one's place, durably.  Raises DiskFailed."""
    body = msgspec.msgpack.encode(value)
    data = _HEAD.pack(_MAGIC, FORMAT_VERSION, len(body)) + body
    replace_file(files, directory / IDENTITY_FILE, data + _CHECKSUM.pack(crc32c(data)))


def lock_directory(directory: Path, files: Files) -> Lock:
    """Hold the directory until `release`, or the end of the process.

    Raises DirectoryInUse if another process holds it, DiskFailed.
    """
    path = directory / LOCK_FILE
    with disk_failure(path, "locking"):
        try:
            return files.lock(path)
        except BlockingIOError as error:
            raise DirectoryInUse(
                f"{directory} is in use by another process (it holds {path}).  Two nodes never share a data "
                "directory: stop the other one, or give this one its own."
            ) from error
