"""What is put between a server and its libc: a disk that fails on command, and another time of day.

Both are libraries that the dynamic linker loads before libc (LD_PRELOAD): `disk_shim.c` beside this package,
built with the C compiler of the machine, and libfaketime of Debian.  Where one of them is missing its faults
are left out, and `Shims.missing` says why.  They need no root, and they reach only programs that ask libc:
not one written in Go.
"""
from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from agreed.torture.node import Node

SOURCE = Path(__file__).resolve().parent.parent / "disk_shim.c"

FAKETIME = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib64/faketime/libfaketimeMT.so.1"),
    Path("/usr/local/lib/faketime/libfaketimeMT.so.1"),
)

_CONTROL = struct.Struct("=iiiii")

TRUE_TIME = "+0\n"

DISK_FAULTS = ("disk-full", "disk-failing", "disk-slow")
CLOCK_FAULT = "clock"


@dataclass(frozen=True)
class DiskTrouble:
    """What the disk does from now on.  `delay_ms`: of every sync."""

    full: bool = False
    failing: bool = False
    unsynced: bool = False
    delay_ms: int = 0


@dataclass
class Shims:
    """`disk` and `clock`: the libraries, where they are; `missing`: by fault, why it cannot be played."""

    disk: Path | None
    clock: Path | None
    missing: dict[str, str]

    def environment(self, node: Node) -> dict[str, str]:
        """Variables for the process of this node; makes the files from which the libraries read."""
        libraries = [str(library) for library in (self.clock, self.disk) if library is not None]
        if not libraries:
            return {}
        node.disk.mkdir(parents=True, exist_ok=True)
        self.set_disk(node, DiskTrouble())
        if not node.clock_control.exists():
            self.set_clock(node, TRUE_TIME)
        return {
            "LD_PRELOAD": ":".join(libraries),
            "DISK_SHIM_CONTROL": str(node.disk_control),
            "DISK_SHIM_DIRECTORY": str(node.disk),
            "FAKETIME_TIMESTAMP_FILE": str(node.clock_control),
            "FAKETIME_CACHE_DURATION": "1",
            # A clock that is set jumps; the one that only ever runs does not, and timers rest on it.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Its remedy for an old fault of glibc makes a Java machine of today wait for ever.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def set_disk(self, node: Node, trouble: DiskTrouble) -> None:
        """In force at once, also for a process that runs."""
        content = _CONTROL.pack(
            trouble.full, trouble.failing, trouble.unsynced, trouble.delay_ms * 1000, 0
        )
        # In place: the file is mapped into the memory of the server.
        with node.disk_control.open("r+b" if node.disk_control.exists() else "wb") as file:
            file.write(content)

    def set_clock(self, node: Node, offset: str) -> None:
        """`offset` as libfaketime reads it (`+3600`); in force within a second."""
        aside = node.clock_control.with_suffix(".new")
        aside.write_text(offset, encoding="ascii")
        aside.replace(node.clock_control)


def build(directory: Path, uses_libc: bool, kinds: Collection[str]) -> Shims:
    """What these faults need and this machine has; the disk shim is built into `directory`.  What nobody
    needs is not loaded: each library makes a server a little less what it is."""
    wanted = [kind for kind in (*DISK_FAULTS, CLOCK_FAULT) if kind in kinds]
    if not uses_libc:
        reason = "its nodes do not ask libc, so nothing can be put in between"
        return Shims(None, None, dict.fromkeys(wanted, reason))
    missing: dict[str, str] = {}
    clock, disk = None, None
    if CLOCK_FAULT in wanted:
        clock = next((library for library in FAKETIME if library.exists()), None)
        if clock is None:
            missing[CLOCK_FAULT] = "libfaketime is not installed (Debian package `libfaketime`)"
    if any(kind in wanted for kind in DISK_FAULTS):
        disk, reason = _compile(directory)
        if disk is None:
            missing |= {kind: reason for kind in DISK_FAULTS if kind in wanted}
    return Shims(disk, clock, missing)


def _compile(directory: Path) -> tuple[Path | None, str]:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None, "there is no C compiler (`cc`)"
    directory.mkdir(parents=True, exist_ok=True)
    library = directory / "disk_shim.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if ended.returncode:
        return None, f"the disk shim cannot be built here: {ended.stderr.strip().splitlines()[0]}"
    return library, ""
