"""The kernel makes a file durable and says so through a descriptor that any loop can wait for."""
from __future__ import annotations

import os
import resource
import select
import tempfile
from collections.abc import Iterator

import pytest

from agreed.disk.kernel_sync import KernelSync


@pytest.fixture
def kernel() -> Iterator[KernelSync]:
    made = KernelSync.make()
    if made is None:
        pytest.skip("this kernel does not sync by itself")
    yield made
    made.close()


def wait(kernel: KernelSync) -> None:
    ready, _, _ = select.select([kernel], [], [], 30)
    assert ready


def test_it_is_readable_once_the_sync_is_done(kernel: KernelSync) -> None:
    with tempfile.TemporaryFile() as file:
        for _ in range(20):
            os.pwrite(file.fileno(), b"x" * 1000, 0)
            kernel.submit(file.fileno())
            wait(kernel)
            assert kernel.result() is None
            assert not select.select([kernel], [], [], 0)[0], "one word for one sync"


def test_one_sync_at_a_time(kernel: KernelSync) -> None:
    with tempfile.TemporaryFile() as file:
        kernel.submit(file.fileno())
        with pytest.raises(BlockingIOError):
            # Whether the first is done or not: its result was not asked for.
            for _ in range(1_000):
                kernel.submit(file.fileno())
        wait(kernel)
        assert kernel.result() is None


def test_what_cannot_be_synced_is_told(kernel: KernelSync) -> None:
    with tempfile.TemporaryFile() as file:
        gone = os.dup(file.fileno())
    os.close(gone)
    with pytest.raises(OSError, match="Bad file descriptor"):
        kernel.submit(gone)
    reading, writing = os.pipe()
    try:
        with pytest.raises(OSError, match="Invalid argument"):
            kernel.submit(writing)
    finally:
        os.close(reading)
        os.close(writing)


def test_where_the_processor_is_unknown_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "abacus")
    assert KernelSync.make() is None


def test_a_program_of_32_bits_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine says "x86_64" to it, too, and the numbers mean other calls."""
    monkeypatch.setattr("sys.maxsize", (1 << 31) - 1)
    assert KernelSync.make() is None


def test_a_process_with_many_files_has_one_as_well(kernel: KernelSync) -> None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 1_200:
        pytest.skip("this process may not open so many files")
    held = [os.dup(kernel.fileno()) for _ in range(1_100)]
    try:
        made = KernelSync.make()
        assert made is not None
        assert made.fileno() > 1_024
        made.close()
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_where_the_kernel_knows_the_call_and_not_this_use_of_it_there_is_none() -> None:
    class Old(KernelSync):
        def submit(self, descriptor: int) -> None:
            raise OSError(22, "Invalid argument")

    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert Old.make() is None
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0), "nothing is left open"
