"""A driver for programs that speak to tooz: groups, members, leaders and locks.

    coordinator = tooz.coordination.get_coordinator("agreed://10.0.0.1:2181/app", b"member-7")

    agreed://  agreed+tls://                a cluster of this package
    agreed+zk://  agreed+etcd://            ZooKeeper, etcd v3
    agreed+file://  agreed+memory://        one machine, one process

    ?timeout=10             seconds until others see that this member is gone
    &connect_timeout=5      seconds for which a server is looked for at `start`
    &namespace=tooz         below which path of the URL everything stands

Who uses this driver and who uses tooz's own for the same service do not see each other: the layouts differ.

It needs no heartbeats from the program: the session is renewed by itself, on a thread (`requires_beating` is
False).  Locks are fair, can be shared (`acquire(shared=True)`) and broken, and tell what tooz itself has no
word for: `lock.token` is the fencing token, `lock.is_still_owner()` is what is certain now.

What it does not do: join again what was lost with a session (`run_watchers` tells of it), and tell that
leadership was lost, for which tooz has no event; a term that is lost is stood for again by the next
`run_watchers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote_to_bytes, urlencode

from agreed.backends.contract import Absent, At, Backend, Delete, Entry, Guard, Put, Stands
from agreed.client.errors import ConnectionLost, Forked, Unanswered
from agreed.client.loop_thread import LoopThread, shared
from agreed.coordination.schemes import factory_of
from agreed.errors import AgreedError
from agreed.integrations.extras import missing
from agreed.recipes.election import Election, Term
from agreed.recipes.errors import AcquireTimeout
from agreed.recipes.sessions import Sessions

try:
    import tooz
    from tooz import coordination, utils
    from tooz.coordination import Characteristics
except ImportError as error:
    raise missing("tooz", error) from error

from agreed.integrations.tooz_lock import AgreedLock

Result = TypeVar("Result")

OURS: Final = ("timeout", "connect_timeout", "namespace")
"""Options that are not the service's."""

ALONE: Final = (
    Characteristics.NON_TIMEOUT_BASED,
    Characteristics.DISTRIBUTED_ACROSS_THREADS,
    Characteristics.LINEARIZABLE,
    Characteristics.SERIALIZABLE,
    Characteristics.SEQUENTIAL,
    Characteristics.CAUSAL,
    Characteristics.SAME_VIEW_UNDER_PARTITIONS,
)
ON_ONE_MACHINE: Final = (*ALONE, Characteristics.DISTRIBUTED_ACROSS_PROCESSES)
ON_ALL: Final = (*ON_ONE_MACHINE, Characteristics.DISTRIBUTED_ACROSS_HOSTS)


class AgreedDriver(coordination.CoordinationDriverCachedRunWatchers):
    CHARACTERISTICS: tuple[Characteristics, ...] = ON_ALL

    def __init__(self, member_id: bytes | str, parsed_url: Any, options: dict[str, Any]) -> None:
        super().__init__(utils.to_binary(member_id, "utf-8"), parsed_url, options)
        chosen = utils.collapse(options)
        self._ttl_s = float(chosen.get("timeout", 10.0))
        self._connect_within_s = float(chosen.get("connect_timeout", 5.0))
        self._namespace = str(chosen.get("namespace", "tooz")).strip("/")
        self._url = _url(parsed_url, {name: each for name, each in chosen.items() if name not in OURS})
        scheme = self._url.partition(":")[0]
        self.CHARACTERISTICS = {"memory": ALONE, "file": ON_ONE_MACHINE}.get(scheme, ON_ALL)
        self._process = 0

    # --- beginning and end --------------------------------------------------------------------------------

    def _start(self) -> None:
        self._thread: LoopThread = shared()
        try:
            self._sessions: Sessions = self._thread.run(self._connect())
        except (Unanswered, OSError) as error:
            raise coordination.ToozConnectionError(f"{self._url}: {error}") from error
        except AgreedError as error:
            raise tooz.ToozError(f"{self._url}: {error}") from error
        self._terms: dict[bytes, Term] = {}
        self._process = os.getpid()

    async def _connect(self) -> Sessions:
        self._in_order = asyncio.Lock()
        backend = await factory_of(self._url)(
            self._url,
            session_timeout_s=self._ttl_s,
            connect_timeout_s=self._connect_within_s,
            request_timeout_s=15.0,
            user=None,
            password=None,
            ssl=None,
        )
        return Sessions(backend, self._ttl_s)

    def _stop(self) -> None:
        async def leave() -> None:
            await self._sessions.close()
            await self._sessions.backend.close()

        with contextlib.suppress(tooz.ToozError):
            self._wait_for(leave())
        self._process = 0

    # --- groups -------------------------------------------------------------------------------------------

    def create_group(self, group_id: bytes) -> coordination.CoordAsyncResult[None]:
        async def create() -> None:
            group = self._group(group_id)
            if await self._sessions.certain.commit([Absent(group)], [Put(group, b"")]) is None:
                raise coordination.GroupAlreadyExist(group_id)

        return self._soon(create())

    def get_groups(self) -> coordination.CoordAsyncResult[list[bytes]]:
        async def groups() -> list[bytes]:
            return [_id(name) for name in await self._backend.names(f"{self._namespace}/groups")]

        return self._soon(groups())

    def delete_group(self, group_id: bytes) -> coordination.CoordAsyncResult[None]:
        """Each who joins changes the group as well, so that nobody joins one that is being deleted."""

        async def delete() -> None:
            done = None
            while done is None:
                group = await self._existing(group_id)
                if await self._backend.names(self._members(group_id)):
                    raise coordination.GroupNotEmpty(group_id)
                done = await self._sessions.certain.commit(
                    [At(group.key, group.version)], [Delete(group.key)]
                )

        return self._soon(delete())

    # --- members ------------------------------------------------------------------------------------------

    def join_group(
        self, group_id: bytes, capabilities: coordination.Capabilities | None = None
    ) -> coordination.CoordAsyncResult[None]:
        async def join() -> None:
            group = await self._existing(group_id)
            member = self._member(group_id, self._member_id)
            now = datetime.now(UTC).replace(tzinfo=None)
            value = utils.dumps({"capabilities": capabilities, "created_at": now, "updated_at": now})
            session = await self._sessions.get()
            guards: list[Guard] = [Stands(group.key, group.created), Absent(member)]
            changes = [Put(group.key, b""), Put(member, value, session)]
            if await self._sessions.certain.commit(guards, changes) is None:
                await self._existing(group_id)
                raise coordination.MemberAlreadyExist(group_id, self._member_id)
            self._joined_groups.add(group_id)

        return self._soon(join())

    def join_group_create(
        self, group_id: bytes, capabilities: coordination.Capabilities | None = None
    ) -> None:
        """As tooz's, which waits a second after it has created the group."""
        while True:
            try:
                return self.join_group(group_id, capabilities).get()
            except coordination.GroupNotCreated:
                with contextlib.suppress(coordination.GroupAlreadyExist):
                    self.create_group(group_id).get()

    def leave_group(self, group_id: bytes) -> coordination.CoordAsyncResult[None]:
        async def leave() -> None:
            found = await self._existing_member(group_id, self._member_id)
            await self._backend.commit([], [Delete(found.key)])  # safe to be done twice
            self._joined_groups.discard(group_id)

        return self._soon(leave())

    def get_members(self, group_id: bytes) -> coordination.CoordAsyncResult[set[bytes]]:
        async def members() -> set[bytes]:
            found = await self._backend.names(self._members(group_id))
            if not found:
                await self._existing(group_id)
            return {_id(name) for name in found}

        return self._soon(members())

    def get_members_with_capabilities(
        self, group_id: bytes
    ) -> coordination.CoordAsyncResult[dict[bytes, coordination.Capabilities | None]]:
        async def members() -> dict[bytes, coordination.Capabilities | None]:
            found = await self._backend.entries(self._members(group_id))
            if not found:
                await self._existing(group_id)
            return {_id(entry.key.rpartition("/")[2]): _information(entry)["capabilities"] for entry in found}

        return self._soon(members())

    def get_member_capabilities(
        self, group_id: bytes, member_id: bytes
    ) -> coordination.CoordAsyncResult[coordination.Capabilities | None]:
        async def capabilities() -> coordination.Capabilities | None:
            found: coordination.Capabilities | None
            found = _information(await self._existing_member(group_id, member_id))["capabilities"]
            return found

        return self._soon(capabilities())

    def get_member_info(
        self, group_id: bytes, member_id: bytes
    ) -> coordination.CoordAsyncResult[dict[str, Any]]:
        """`created_at` and `updated_at` by the clock of that member, in UTC."""

        async def information() -> dict[str, Any]:
            return _information(await self._existing_member(group_id, member_id))

        return self._soon(information())

    def update_capabilities(
        self, group_id: bytes, capabilities: coordination.Capabilities
    ) -> coordination.CoordAsyncResult[None]:
        async def update() -> None:
            found = await self._existing_member(group_id, self._member_id)
            now = datetime.now(UTC).replace(tzinfo=None)
            value = utils.dumps({**_information(found), "capabilities": capabilities, "updated_at": now})
            guards = [Stands(found.key, found.created)]
            if await self._sessions.certain.commit(guards, [Put(found.key, value)]) is None:
                raise coordination.MemberNotJoined(group_id, self._member_id)

        return self._soon(update())

    # --- leaders and locks --------------------------------------------------------------------------------

    def run_watchers(self, timeout: float | None = None) -> list[Any]:
        results = super().run_watchers(timeout)
        self.run_elect_coordinator()
        return results

    def run_elect_coordinator(self) -> None:
        for group_id in list(self._hooks_elected_leader):
            if self._wait_for(self._elected(group_id)):
                self._hooks_elected_leader[group_id].run(
                    coordination.LeaderElected(group_id, self._member_id)
                )

    async def _elected(self, group_id: bytes) -> bool:
        """Whether it leads, and has not before."""
        known = self._terms.get(group_id)
        if known is not None and known.remaining() > 0:
            return False
        term = await self._election(group_id).try_acquire()
        if term is None:
            return False
        self._terms[group_id] = term
        return True

    def stand_down_group_leader(self, group_id: bytes) -> bool:
        term = self._terms.pop(group_id, None)
        if term is None:
            return False
        self._wait_for(term.release())
        return True

    def get_leader(self, group_id: bytes) -> coordination.CoordAsyncResult[bytes]:
        async def leader() -> Any:
            found = await self._election(group_id).leader()
            return None if found is None else found.value

        return self._soon(leader())

    def get_lock(self, name: bytes) -> AgreedLock:
        directory = f"{self._namespace}/locks/{_name(name)}"
        return AgreedLock(name, directory, lambda: self._sessions, self._wait_for)

    # --- inside -------------------------------------------------------------------------------------------

    @property
    def _backend(self) -> Backend:
        return self._sessions.backend

    def _group(self, group_id: bytes) -> str:
        return f"{self._namespace}/groups/{_name(group_id)}"

    def _members(self, group_id: bytes) -> str:
        return f"{self._namespace}/members/{_name(group_id)}"

    def _member(self, group_id: bytes, member_id: bytes) -> str:
        return f"{self._members(group_id)}/{_name(member_id)}"

    def _election(self, group_id: bytes) -> Election:
        directory = f"{self._namespace}/leaders/{_name(group_id)}"
        return Election(self._sessions, directory, value=self._member_id)

    async def _existing(self, group_id: bytes) -> Entry:
        found = await self._backend.get(self._group(group_id))
        if found is None:
            raise coordination.GroupNotCreated(group_id)
        return found

    async def _existing_member(self, group_id: bytes, member_id: bytes) -> Entry:
        found = await self._backend.get(self._member(group_id, member_id))
        if found is None:
            await self._existing(group_id)
            raise coordination.MemberNotJoined(group_id, member_id)
        return found

    def _soon(self, work: Coroutine[Any, Any, Result]) -> coordination.CoordinatorResult[Result]:
        """In the order in which they were asked for, whether anybody waits for one before the next or not."""
        self._must_run_here(work)

        async def in_order() -> Result:
            async with self._in_order:
                return await work

        future = asyncio.run_coroutine_threadsafe(in_order(), self._thread.loop)
        return coordination.CoordinatorResult(future, translated)

    def _wait_for(
        self,
        work: Coroutine[Any, Any, Result],
        unwanted: Callable[[Result], Coroutine[Any, Any, object]] | None = None,
    ) -> Result:
        self._must_run_here(work)
        with translated():
            return self._thread.run(work, unwanted)

    def _must_run_here(self, work: Coroutine[Any, Any, Any]) -> None:
        if self._process == os.getpid():
            return
        work.close()
        if self._process:
            raise tooz.ToozError(str(Forked()))
        raise tooz.ToozError("this coordinator was not started")


def _url(parsed: Any, options: dict[str, Any]) -> str:
    scheme = parsed.scheme if parsed.scheme == "agreed+tls" else parsed.scheme.removeprefix("agreed+")
    query = f"?{urlencode(options)}" if options else ""
    return f"{scheme}://{parsed.netloc}{parsed.path.rstrip('/')}{query}"


def _name(id: bytes | str) -> str:
    """Of any bytes a name that is a key, and none of "." and ".."."""
    return "id-" + quote(utils.to_binary(id, "utf-8"), safe="")


def _id(name: str) -> bytes:
    return unquote_to_bytes(name.removeprefix("id-"))


def _information(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = utils.loads(entry.value)
    return found


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Our errors in tooz's words."""
    try:
        yield
    except AcquireTimeout:
        raise
    except TimeoutError as error:
        raise coordination.OperationTimedOut(str(error)) from error
    except ConnectionLost as error:
        raise coordination.ToozConnectionError(str(error)) from error
    except AgreedError as error:
        raise tooz.ToozError(str(error)) from error
