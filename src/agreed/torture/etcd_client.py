"""An etcd client on its JSON gateway: one small HTTP connection, and nothing hidden.

Keys are what paths are elsewhere; a "child" is a key with one more `/`.  A fresh read is etcd's linearizable
one, a local read its serializable one.  etcd knows no sessions: what it promises to a client in this respect,
it promises to a connection, so `session` names the present one.

Every error after a request has left is taken for no answer: what etcd says then (timed out, leader changed)
does not tell whether it was done.
"""
from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from agreed.torture import client as outcomes
from agreed.torture.address import Address
from agreed.torture.client import Created, Listing, NotAsked, Refused, Stored, Unanswered

ANSWER_WITHIN_S: Final = 5.0
CONNECT_WITHIN_S: Final = 1.5
LINE_BYTES_MAX: Final = 1 << 22

Json = Mapping[str, Any]


async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: Json) -> Json:
    """One request on an open connection.  Raises OSError, and `Unanswered` for what is no success."""
    content = msgspec.json.encode(body)
    head = f"POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    status = (await reader.readline()).split()
    if len(status) < 2:
        raise ConnectionResetError("the connection was closed")
    headers: dict[bytes, bytes] = {}
    while line := (await reader.readline()).strip():
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip().lower()
    if headers.get(b"transfer-encoding") == b"chunked":
        answer = await _chunks(reader)
    else:
        answer = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    if status[1] != b"200":
        raise Unanswered(answer.decode("utf-8", "replace")[:200])
    decoded: Json = msgspec.json.decode(answer)
    return decoded


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    whole = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        whole += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return whole


async def _connected(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        address.host, address.port, limit=LINE_BYTES_MAX, local_addr=address.caller
    )


async def ask(address: Address, path: str, body: Json, within_s: float = ANSWER_WITHIN_S) -> Json | None:
    """One question on a connection of its own; None: no answer."""
    writer = None
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await _connected(address)
            return await post(reader, writer, path, body)
    except (OSError, TimeoutError, EOFError, ValueError, Unanswered):
        return None
    finally:
        if writer is not None:
            writer.close()


def text_of(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def below(path: str) -> Json:
    """The keys that begin with `path/`."""
    return {"key": encoded(f"{path}/"), "range_end": encoded(f"{path}0")}  # 0 follows / in ASCII


class EtcdClient:
    """Implements `client.Client`, but for what needs ZooKeeper (sequential and ephemeral nodes)."""

    def __init__(self, name: str, addresses: Sequence[Address], dice: random.Random) -> None:
        self.name = name
        self._addresses = list(addresses)
        self._dice = dice
        self._connections = 0
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def session(self) -> str:
        return f"{self.name}/{self._connections}"

    def disconnect(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    async def close(self) -> None:
        self.disconnect()

    async def vanish(self, seconds: float) -> None:
        self.disconnect()
        await asyncio.sleep(seconds)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._open is None:
            try:
                async with asyncio.timeout(CONNECT_WITHIN_S):
                    self._open = await _connected(self._dice.choice(self._addresses))
            except (OSError, TimeoutError):
                raise NotAsked("no connection to any server") from None
            self._connections += 1
        return self._open

    async def _post(self, path: str, body: Json) -> Json:
        reader, writer = await self._connection()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await post(reader, writer, path, body)
        except (OSError, TimeoutError, EOFError, ValueError) as problem:
            self.disconnect()
            raise Unanswered(str(problem) or type(problem).__name__) from problem
        except BaseException:
            # An error leaves the connection in order, but this server may be of no use now: try another.
            self.disconnect()
            raise

    async def _transaction(self, compare: list[Json], success: list[Json], failure: list[Json]) -> Json:
        return await self._post("/v3/kv/txn", {"compare": compare, "success": success, "failure": failure})

    async def create(
        self, path: str, value: str, *, ephemeral: bool = False, sequential: bool = False
    ) -> Created:
        if ephemeral or sequential:
            raise NotAsked("etcd has no such keys")
        done = await self._transaction([_version(path, 0)], [_put(path, value)], [])
        if not done.get("succeeded"):
            raise Refused(outcomes.EXISTS)
        return Created(path, _revision(done))

    async def read(self, path: str, *, fresh: bool) -> Stored | None:
        answer = await self._post("/v3/kv/range", {"key": encoded(path), "serializable": not fresh})
        found = answer.get("kvs", [])
        return _stored(found[0], _revision(answer)) if found else None

    async def write(self, path: str, value: str, version: int | None = None) -> Stored:
        there: Json = {"target": "VERSION", "result": "GREATER", "key": encoded(path), "version": "0"}
        wanted = there if version is None else _version(path, version)
        read = {"request_range": {"key": encoded(path)}}
        done = await self._transaction([wanted], [_put(path, value), read], [read])
        found = done["responses"][-1]["response_range"].get("kvs", [])
        if not done.get("succeeded"):
            raise Refused(outcomes.VERSION if found else outcomes.ABSENT)
        return _stored(found[0], _revision(done))

    async def remove(self, path: str, version: int | None = None) -> int:
        guards = [] if version is None else [_version(path, version)]
        delete = {"request_delete_range": {"key": encoded(path)}}
        done = await self._transaction(guards, [delete], [])
        if not done.get("succeeded"):
            raise Refused(outcomes.VERSION)
        if not int(done["responses"][0]["response_delete_range"].get("deleted", 0)):
            raise Refused(outcomes.ABSENT)
        return _revision(done)

    async def children(self, path: str, *, fresh: bool) -> Listing:
        answer = await self._post(
            "/v3/kv/range", {**below(path), "keys_only": True, "serializable": not fresh}
        )
        names = [text_of(found["key"])[len(path) + 1 :] for found in answer.get("kvs", [])]
        return Listing(tuple(name for name in names if "/" not in name), -1, _revision(answer))

    async def read_many(self, paths: Sequence[str], *, fresh: bool) -> list[Stored | None]:
        reads = [{"request_range": {"key": encoded(path), "serializable": not fresh}} for path in paths]
        done = await self._transaction([], list(reads), [])
        found = [each["response_range"].get("kvs", []) for each in done["responses"]]
        return [_stored(kvs[0], _revision(done)) if kvs else None for kvs in found]

    async def transact(self, guards: dict[str, int], writes: dict[str, str]) -> int:
        done = await self._transaction(
            [_version(path, version) for path, version in guards.items()],
            [_put(path, value) for path, value in writes.items()],
            [],
        )
        if not done.get("succeeded"):
            raise Refused(outcomes.VERSION)
        return _revision(done)


def _version(path: str, version: int) -> Json:
    return {"target": "VERSION", "result": "EQUAL", "key": encoded(path), "version": str(version)}


def _put(path: str, value: str) -> Json:
    return {"request_put": {"key": encoded(path), "value": encoded(value)}}


def _revision(answer: Json) -> int:
    return int(answer["header"].get("revision", 0))


def _stored(found: Json, seen: int) -> Stored:
    value = text_of(found.get("value", ""))
    return Stored(value, int(found["version"]), int(found["mod_revision"]), seen)
