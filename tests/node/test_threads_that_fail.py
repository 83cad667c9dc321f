"""What goes wrong in a thread, or in the kernel, must not stay there: the node would wait for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agreed.consensus.machine import Ballot, Entry, EntryKind, Save
from agreed.disk.files import RealFiles
from agreed.disk.kernel_sync import KernelSync
from agreed.disk.wal import Wal
from agreed.errors import DiskFailed
from agreed.node.jobs import JobThread
from agreed.node.writer import Writer


def save(serial: int) -> Save:
    return Save(serial, Ballot(1, None), [Entry(serial, 1, EntryKind.PAYLOAD, b"x" * serial)])


def heard_of(wal: Wal, kernel: KernelSync | None, use: Callable[[Writer], None], ends_with: str) -> list[str]:
    """What a writer said until it said `ends_with`."""

    async def run() -> list[str]:
        heard: list[str] = []
        end = asyncio.Event()
        loop = asyncio.get_running_loop()

        def say(sentence: str) -> None:
            heard.append(sentence)
            if sentence.startswith(ends_with):
                end.set()

        writer = Writer(
            wal,
            lambda serials: [say(f"saved {serial}") for serial in serials] and None,
            lambda reason: say(f"failed: {reason}"),
            lambda: loop.call_soon_threadsafe(say, "crashed"),
            kernel,
        )
        use(writer)
        await asyncio.wait_for(end.wait(), 30)
        await writer.stop()
        return heard

    before = writers()
    told = asyncio.run(run())
    assert writers() <= before
    return told


def writers() -> set[threading.Thread]:
    """Nodes that other tests keep in this process have some of their own."""
    return {thread for thread in threading.enumerate() if thread.name == "agreed-writer"}


class Broken(Wal):
    """A log that raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def append(self, saves: object) -> None:
        raise self.error

    def write(self, saves: object) -> None:
        raise self.error


@pytest.mark.parametrize("by_kernel", [False, True])
@pytest.mark.parametrize(
    ("error", "heard"), [(DiskFailed("no space"), "failed"), (ValueError("a gap in the log"), "crashed")]
)
def test_a_writer_that_cannot_go_on_says_so(error: Exception, heard: str, by_kernel: bool) -> None:
    kernel = KernelSync.make() if by_kernel else None
    told = heard_of(Broken(error), kernel, lambda writer: writer.submit(save(1)), heard)
    assert len(told) == 1


@pytest.mark.parametrize("by_kernel", [False, True])
def test_saves_and_other_jobs_keep_their_order_and_survive(tmp_path: Path, by_kernel: bool) -> None:
    """Small files of the log, so that the thread makes new ones between what the kernel syncs."""
    wal = Wal.create(tmp_path, RealFiles(), 7, segment_size=4096)
    seen: list[int] = []

    def use(writer: Writer) -> None:
        for serial in range(1, 201):
            writer.submit(save(serial))
            if serial % 20 == 0:
                writer.call(lambda: seen.append(wal.last_index))

    told = heard_of(wal, KernelSync.make() if by_kernel else None, use, "saved 200")
    assert told == [f"saved {serial}" for serial in range(1, 201)]
    assert seen == list(range(20, 201, 20))
    assert wal.last_index == 200
    wal.close()


def test_a_sync_that_fails_in_the_kernel_stops_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = Wal.create(tmp_path, RealFiles(), 7)

    kernel = KernelSync.make()
    if kernel is None:
        pytest.skip("this kernel does not sync by itself")
    synced = kernel.result

    def failing() -> OSError | None:
        assert synced() is None
        return OSError(5, "Input/output error")

    monkeypatch.setattr(kernel, "result", failing)
    told = heard_of(wal, kernel, lambda writer: writer.submit(save(1)), "failed")
    assert len(told) == 1
    assert "write or fdatasync failed: Input/output error" in told[0]
    with pytest.raises(DiskFailed, match="refuses everything"):
        wal.append([save(1)])


def test_a_job_that_hangs_in_the_kernel_does_not_keep_the_process() -> None:
    begun, goes_on = threading.Event(), threading.Event()
    done: list[int] = []

    def hang() -> None:
        begun.set()
        assert goes_on.wait(30)

    async def run() -> None:
        jobs = JobThread("agreed-hanging")
        jobs.submit(hang)
        jobs.submit(lambda: done.append(2))
        assert begun.wait(30)
        await jobs.stop(0.01)

    asyncio.run(run())
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "agreed-hanging"]
    assert thread.daemon, "or the interpreter would wait for it"
    goes_on.set()
    thread.join(30)
    assert done == [], "what had not begun when it was stopped is not done"
