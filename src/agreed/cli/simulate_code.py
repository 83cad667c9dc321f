"""Which code a run consists of, as one hash: two machines that have the same one play the same runs.

The command line, sockets and real disks' shells are not in it: they have no part in a simulated run.
"""
from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import agreed

SIMULATED = ("types.py", "errors.py", "consensus", "store", "check", "wire", "replica", "disk", "sim")
"""What a run consists of, within the package."""


@cache
def code_hash() -> str:
    """Of every source file of these."""
    root = Path(agreed.__file__).parent
    found = hashlib.blake2b(digest_size=8)
    for name in SIMULATED:
        path = root / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()
