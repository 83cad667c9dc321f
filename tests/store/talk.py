"""A store that one can talk to in the words of a ZooKeeper client."""
from __future__ import annotations

from agreed.store.commands import (
    Check,
    Create,
    Delete,
    GrantLease,
    Multi,
    RevokeLease,
    SetAcl,
    SetData,
)
from agreed.store.invariants import check
from agreed.store.machine import Store
from agreed.store.records import Credential, Permission, Record
from agreed.store.results import Created, Result
from agreed.store.tree import children_version

Operation = Create | SetData | Delete | Check


class Client:
    """One session on one node.  Each call is one command, and the invariants are checked after it."""

    def __init__(self, store: Store, lease: int = 1, *credentials: Credential, node: str = "n1") -> None:
        self.store = store
        self.lease = lease
        self.node = node
        self.execute(GrantLease(lease, 10_000, b"secret", credentials))

    def execute(self, command: object) -> Result:
        result = self.store.execute(command, self.node)  # type: ignore[arg-type]
        check(self.store)
        return result

    def create(
        self,
        path: str,
        data: bytes | None = b"",
        acl: tuple[Permission, ...] | None = None,
        mode: int = 0,
        ttl_ms: int = 0,
    ) -> Result:
        return self.execute(Create(self.lease, path.encode(), data, acl, mode, ttl_ms))

    def made(self, path: str, mode: int = 0, ttl_ms: int = 0) -> str:
        """The path that was created."""
        result = self.create(path, mode=mode, ttl_ms=ttl_ms)
        assert isinstance(result, Created), result
        return result.record.key.decode()

    def set(self, path: str, data: bytes | None = b"new", version: int = -1) -> Result:
        return self.execute(SetData(self.lease, path.encode(), data, version))

    def delete(self, path: str, version: int = -1) -> Result:
        return self.execute(Delete(self.lease, path.encode(), version))

    def set_acl(self, path: str, acl: tuple[Permission, ...] | None, version: int = -1) -> Result:
        return self.execute(SetAcl(self.lease, path.encode(), acl, version))

    def multi(self, *operations: Operation) -> Result:
        return self.execute(Multi(self.lease, operations))

    def close(self) -> Result:
        return self.execute(RevokeLease(self.lease))


def record(store: Store, path: str) -> Record:
    found = store.tree.get(path.encode())
    assert found is not None, path
    return found


def cversion(store: Store, path: str) -> int:
    """As shown in a stat."""
    found = record(store, path)
    return children_version(found, len(found.children) if found.children else 0)


def only(permissions: int, scheme: str = "world", identity: str = "anyone") -> tuple[Permission, ...]:
    return (Permission(permissions, scheme, identity),)
