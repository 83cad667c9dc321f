"""The plain-text question `srvr`, which both we and ZooKeeper answer on the client port."""
from __future__ import annotations

import asyncio

from agreed.torture.address import Address
from agreed.torture.systems.system import Role

ANSWER_WITHIN_S = 1.0


async def role(address: Address) -> Role | None:
    """What the server at this address says of itself; None: no answer."""
    for line in (await ask(address, b"srvr")).splitlines():
        if line.startswith("Mode: "):
            mode = line.removeprefix("Mode: ").strip()
            return Role(mode in ("leader", "standalone"), mode != "read-only")
    return None


async def ask(address: Address, word: bytes) -> str:
    """The answer, or an empty text."""
    writer = None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(word)
            return (await reader.read()).decode("utf-8", "replace")
    except (OSError, TimeoutError):
        return ""
    finally:
        if writer is not None:
            writer.close()
