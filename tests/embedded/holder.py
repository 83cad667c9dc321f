"""A process that opens a URL, holds something by it, and says so; the test decides how it ends.

    python -m tests.embedded.holder URL KEY [fork]

`fork`: a child of it, which does nothing, outlives it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from agreed.backends.contract import Put
from agreed.coordination.schemes import factory_of


async def hold(url: str, key: str) -> None:
    backend = await factory_of(url)(
        url,
        session_timeout_s=60.0,
        connect_timeout_s=60.0,
        request_timeout_s=60.0,
        user=None,
        password=None,
        ssl=None,
    )
    session = await backend.open_session(60.0)
    await backend.commit([], [Put(key, b"", session)])
    child = 0
    if "fork" in sys.argv and (child := os.fork()) == 0:
        time.sleep(120.0)
        os._exit(0)
    print(f"holds {child}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await backend.close()
    print("closed", flush=True)


asyncio.run(hold(sys.argv[1], sys.argv[2]))
