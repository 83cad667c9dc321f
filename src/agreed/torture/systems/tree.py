"""All that one server holds, read like a client: how two servers are compared from outside.

A server is asked alone, at its own address.  First `sync`, so that it has caught up with what was
acknowledged; then every node with its data and its stat, level by level.  What differs between two servers by
right is left out: nothing, but what is theirs alone (`/zookeeper/config` may name nodes in another order).
"""
from __future__ import annotations

import random
from collections.abc import Mapping

from agreed.torture.address import Address
from agreed.torture.client import NotAsked
from agreed.torture.zookeeper_client import ZooKeeperClient
from agreed.wire.zookeeper.messages import GetChildrenRequest, GetDataRequest, Request, SyncRequest
from agreed.wire.zookeeper.replies import ErrorReply, GetChildrenReply, GetDataReply

READ_WITHIN_S = 30.0
SESSION_MS = 20_000
AT_ONCE = 200
"""How many nodes are asked for in one packet."""

NOT_COMPARED = "/zookeeper"


async def read_tree(address: Address) -> Mapping[str, object]:
    """(data, stat) by path.  Raises `NotAsked` and `Unanswered`."""
    client = ZooKeeperClient("reader", [address], random.Random(0), SESSION_MS)
    try:
        await client.ask(SyncRequest(b"/"), within_s=READ_WITHIN_S)
        found: dict[str, object] = {}
        level = ["/"]
        while level:
            below: list[str] = []
            for start in range(0, len(level), AT_ONCE):
                below += await _read_some(client, level[start : start + AT_ONCE], found)
            level = below
        return found
    finally:
        await client.close()


async def _read_some(client: ZooKeeperClient, paths: list[str], found: dict[str, object]) -> list[str]:
    """Their children's paths."""
    asked: list[Request] = []
    for path in paths:
        asked += [GetDataRequest(path.encode(), False), GetChildrenRequest(path.encode(), False)]
    answers = await client.ask(*asked, within_s=READ_WITHIN_S)
    below: list[str] = []
    for number, path in enumerate(paths):
        data, children = answers[2 * number].reply, answers[2 * number + 1].reply
        if isinstance(data, GetDataReply):
            found[path] = (data.data, data.stat)
        elif not isinstance(data, ErrorReply):
            raise NotAsked(f"{path}: answered with {data}")
        if isinstance(children, GetChildrenReply):
            names = [name.decode() for name in children.children]
            paths_below = [f"{path.rstrip('/')}/{name}" for name in names]
            below += [each for each in paths_below if each != NOT_COMPARED]
    return below
