"""The plain-text question `srvr`, which both we and ZooKeeper answer on the client port."""
from __future__ import annotations

import asyncio

from agreed.torture.processes import LOOPBACK
from agreed.torture.systems.system import Role

ANSWER_WITHIN_S = 1.0


async def role(port: int) -> Role | None:
    """What the server at this port of loopback says of itself; None: no answer."""
    for line in (await ask(port, b"srvr")).splitlines():
        if line.startswith("Mode: "):
            mode = line.removeprefix("Mode: ").strip()
            return Role(mode in ("leader", "standalone"), mode != "read-only")
    return None


async def ask(port: int, word: bytes) -> str:
    """The answer, or an empty text."""
    writer = None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(word)
            return (await reader.read()).decode("utf-8", "replace")
    except (OSError, TimeoutError):
        return ""
    finally:
        if writer is not None:
            writer.close()
