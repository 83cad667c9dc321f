"""What goes wrong in a thread must not stay there: the node would wait for its answer for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from agreed.consensus.machine import Ballot, Save
from agreed.errors import DiskFailed
from agreed.node.writer import Writer


@pytest.mark.parametrize(
    ("error", "heard"), [(DiskFailed("no space"), "failed"), (ValueError("a gap in the log"), "crashed")]
)
def test_a_writer_that_cannot_go_on_says_so(error: Exception, heard: str) -> None:
    def append(saves: Sequence[Save]) -> None:
        raise error

    async def run() -> str:
        heard = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()

        def crashed() -> None:
            loop.call_soon_threadsafe(heard.set_result, "crashed")

        def failed(reason: str) -> None:
            heard.set_result("failed")

        writer = Writer(append, lambda serials: None, failed, crashed)
        writer.submit(Save(1, Ballot(1, None), []))
        said: str = await asyncio.wait_for(heard, 10)
        await loop.run_in_executor(None, writer.stop)
        return said

    assert asyncio.run(run()) == heard
    assert not [thread for thread in threading.enumerate() if thread.name == "agreed-writer"]
