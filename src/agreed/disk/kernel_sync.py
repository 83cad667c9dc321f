"""fdatasync by the kernel's own threads, for a loop that may not wait and does not want a thread of ours to.

A thread of ours that waits for the disk costs more than the waiting: it must be woken, take the interpreter
lock from the loop before its system call and once more after it, and wake the loop again (measured: a fifth
of the processor time of a node, and a wait of 100 microseconds in front of each sync).  Linux can be asked to
do the same (`io_submit` with `IOCB_CMD_FDSYNC`, since 4.18) and to count an eventfd up when it is done, which
any event loop can wait for.

    KernelSync.make()      None where this system cannot (not Linux, forbidden, another processor family)
    submit(descriptor)     make what was written into that file durable; returns at once
    fileno()               readable once it is
    result()               None: durable; an OSError: it is not, and never will be (files.py tells why)

One sync at a time: what is written meanwhile is the next batch.  Nothing here knows of an event loop.

Source: the manual pages io_submit(2), io_getevents(2), eventfd(2), and linux/aio_abi.h.
"""
from __future__ import annotations

import ctypes
import os
import platform
import select
import sys

_NUMBERS = {
    "x86_64": (206, 207, 208, 209),
    "aarch64": (0, 1, 4, 2),
    "riscv64": (0, 1, 4, 2),
}
"""System call numbers of io_setup, io_destroy, io_getevents and io_submit, for programs of 64 bits.  For one
of 32 bits on the same machine they are other calls: to leave the process, to give away a file."""

TRIAL_S = 5.0
"""How long a sync of nothing may take before it is taken for one that never ends."""

_FDSYNC = 3
_NOTIFY_EVENTFD = 1


class _ControlBlock(ctypes.Structure):
    """`struct iocb` on a little-endian machine."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("rw_flags", ctypes.c_int32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("descriptor", ctypes.c_uint32),
        ("buffer", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("eventfd", ctypes.c_uint32),
    )


class _Event(ctypes.Structure):
    """`struct io_event`."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("control_block", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("result2", ctypes.c_int64),
    )


class KernelSync:
    def __init__(self, numbers: tuple[int, int, int, int]) -> None:
        """Raises OSError where the kernel refuses."""
        # PyDLL keeps the interpreter lock: these calls do not wait, and giving it away is what costs.
        self._call = ctypes.PyDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long
        self._setup, self._destroy, self._get_events, self._submit = numbers
        self._context = ctypes.c_ulong(0)
        self._check(self._call(self._setup, 1, ctypes.byref(self._context)))
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._block = _ControlBlock(opcode=_FDSYNC, flags=_NOTIFY_EVENTFD, eventfd=self._eventfd)
        self._blocks = (ctypes.POINTER(_ControlBlock) * 1)(ctypes.pointer(self._block))
        self._event = _Event()

    @classmethod
    def make(cls) -> KernelSync | None:
        numbers = _NUMBERS.get(platform.machine())
        fits = sys.platform.startswith("linux") and sys.byteorder == "little" and sys.maxsize > 1 << 32
        if not fits or numbers is None:
            return None
        try:
            made = cls(numbers)
        except OSError:
            return None
        if made._is_able():
            return made
        made.close()
        return None

    def _is_able(self) -> bool:
        """An old kernel knows the call and not this use of it; better to learn that now than at a promise."""
        descriptor = os.memfd_create("agreed-sync", os.MFD_CLOEXEC)
        try:
            self.submit(descriptor)
            done = select.poll()  # and not `select`, which refuses numbers from 1024 on
            done.register(self, select.POLLIN)
            return bool(done.poll(TRIAL_S * 1_000)) and self.result() is None
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def fileno(self) -> int:
        return self._eventfd

    def submit(self, descriptor: int) -> None:
        """Raises OSError where it could not even be asked for."""
        self._block.descriptor = descriptor
        self._check(self._call(self._submit, self._context, 1, self._blocks))

    def result(self) -> OSError | None:
        """To be called when `fileno()` is readable."""
        os.eventfd_read(self._eventfd)
        self._check(self._call(self._get_events, self._context, 1, 1, ctypes.byref(self._event), None))
        code = self._event.result
        return OSError(-code, os.strerror(-code)) if code < 0 else None

    def close(self) -> None:
        """Waits for what is under way."""
        self._call(self._destroy, self._context)
        os.close(self._eventfd)

    def _check(self, code: int) -> None:
        if code < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
