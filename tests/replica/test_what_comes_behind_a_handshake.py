"""What a client says before its session stands is kept, and must not become one batch however much it is."""

from __future__ import annotations

import msgspec

from agreed.replica.requests import MAX_BATCH_BYTES
from agreed.store.commands import Payload
from agreed.store.records import OPEN_ACL
from agreed.wire.zookeeper.messages import CreateMode, CreateRequest, Op, SetDataRequest
from tests.replica.alone import Alone, Client

SIZE = 200_000


def test_many_large_requests_become_many_batches() -> None:
    node = Alone()
    other = node.client()
    node.saving = False
    client = Client(node)
    client.connect()
    for number in range(60):
        create = CreateRequest(b"/%d" % number, bytes(SIZE), OPEN_ACL, CreateMode.PERSISTENT, 0, Op.CREATE)
        client.ask(create)
    # With this batch all that came until now is counted as gone.
    other.ask(SetDataRequest(b"/", b"", -1))
    node.saving = True
    node.turn()
    node.pass_ms(200)
    assert len(client.replies) == 1 + 60
    entries = [entry for effects in node.effects for save in effects.saves for entry in save.entries]
    payloads = [msgspec.msgpack.decode(entry.payload, type=Payload) for entry in entries if entry.kind == 1]
    sizes = [len(msgspec.msgpack.encode(batch)) for payload in payloads for batch in payload.batches]
    assert max(sizes) <= MAX_BATCH_BYTES + SIZE
