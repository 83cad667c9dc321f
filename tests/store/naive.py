"""ZooKeeper's rules written down a second time, as plainly and slowly as possible, to compare the store with.

It shares nothing with the store but the commands: paths are text, a znode is a mutable object, children are
found by looking at all paths, a failed multi is undone by having worked on a copy.  Outcomes are strings, the
names of the refusals; `dump` tells everything that a client could see.
"""
from __future__ import annotations

import copy
import ipaddress
import re
from dataclasses import dataclass, field

from agreed.store import commands
from agreed.store.records import Credential, Permission

OPEN = (Permission(31, "world", "anyone"),)
SPECIAL = ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")


class Refused(Exception):
    pass


def require(condition: object, name: str) -> None:
    if not condition:
        raise Refused(name)


@dataclass
class Znode:
    data: bytes | None
    acl: tuple[Permission, ...]
    czxid: int
    ctime: int
    mzxid: int
    mtime: int
    pzxid: int
    version: int = 0
    creations: int = 0
    aversion: int = 0
    owner: int = 0
    ttl: int = 0
    container: bool = False


@dataclass
class Session:
    owner: str
    secret: bytes
    credentials: list[Credential]
    attached: int


@dataclass
class NaiveZooKeeper:
    zxid: int = 0
    now: int = 0
    nodes: dict[str, Znode] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    used: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in SPECIAL:
            self.nodes[path] = Znode(b"", OPEN, 0, 0, 0, 0, 0)
        config = self.nodes["/zookeeper/config"]
        config.acl, config.version, config.aversion = (Permission(1, "world", "anyone"),), -1, -1

    # --- what can be seen --------------------------------------------------------------------------------

    def children(self, path: str) -> list[str]:
        below = path.rstrip("/") + "/"
        return [p for p in self.nodes if p.startswith(below) and len(p) > len(below) and "/" not in
        p[len(below) :]]

    def dump(self) -> dict[str, tuple[object, ...]]:
        return {
            path: (
                *(n.data, n.acl, n.czxid, n.mzxid, n.ctime, n.mtime, n.version, n.aversion, n.owner, n.pzxid),
                *(2 * n.creations - len(self.children(path)), len(self.children(path)), n.ttl, n.container),
            )
            for path, n in self.nodes.items()
        }

    # --- commands ------------------------------------------------------------------------------------------

    def execute(self, command: commands.Command, origin: str) -> str:
        """The name of the refusal, the path that was created, or "done"."""
        if not isinstance(command, commands.AddCredential):
            self.zxid += 1
        try:
            if isinstance(command, commands.Multi):
                return self.multi(command, origin)
            return str(getattr(self, "do_" + type(command).__name__.lower())(command, origin))
        except Refused as refusal:
            return str(refusal)

    def multi(self, command: commands.Multi, origin: str) -> str:
        self.session(command.lease, origin)
        attempt = copy.deepcopy(self)
        told: list[str] = []
        for position, operation in enumerate(command.operations):
            name = "do_" + type(operation).__name__.lower()
            try:
                told.append(getattr(attempt, name)(operation, origin, command.lease))
            except Refused as refusal:
                return f"{position}: {refusal}"
        self.nodes, self.used = attempt.nodes, attempt.used
        return "; ".join(told)

    def do_grantlease(self, command: commands.GrantLease, origin: str) -> str:
        require(command.lease != 0, "BAD_ARGUMENTS")
        require(command.lease not in self.sessions, "LEASE_EXISTS")
        self.sessions[command.lease] = Session(
            origin, command.secret, list(command.credentials or ()), self.zxid
        )
        return "granted"

    def do_attachlease(self, command: commands.AttachLease, origin: str) -> str:
        require(command.lease in self.sessions, "NO_LEASE")
        session = self.sessions[command.lease]
        require(session.secret == command.secret, "WRONG_SECRET")
        session.owner, session.credentials, session.attached = origin, list(command.credentials), self.zxid
        return "granted"

    def do_addcredential(self, command: commands.AddCredential, origin: str) -> str:
        session = self.session(command.lease, origin)
        if command.credential not in session.credentials:
            session.credentials.append(command.credential)
        return "done"

    def do_revokelease(self, command: commands.RevokeLease, origin: str) -> str:
        self.session(command.lease, origin)
        return self.end(command.lease)

    def do_expirelease(self, command: commands.ExpireLease, origin: str) -> str:
        require(command.lease in self.sessions, "NO_LEASE")
        require(self.sessions[command.lease].attached == command.attach_revision, "STALE")
        return self.end(command.lease)

    def end(self, lease: int) -> str:
        for path in [p for p, node in self.nodes.items() if node.owner == lease]:
            self.remove(path)
        del self.sessions[lease]
        return "done"

    def do_create(self, command: commands.Create, origin: str, lease: int = 0) -> str:
        lease = lease or command.lease
        session = self.session(lease, origin)
        mode = command.mode
        require(mode in range(7), "BAD_ARGUMENTS")
        require(0 < command.ttl_ms < 2**40 if mode in (5, 6) else command.ttl_ms == 0, "BAD_ARGUMENTS")
        path = text(command.path)
        require("/" in path and "\0" not in path, "BAD_ARGUMENTS")
        acl = self.fixed(command.acl, session)
        above = path[: path.rindex("/")] or "/"
        require(above in self.nodes, "NO_PARENT")
        parent = self.nodes[above]
        self.permit(parent, 4, session)
        if mode in (2, 3, 6):
            path += format(parent.creations, "010d")
        require(sane(path), "BAD_ARGUMENTS")
        require(path not in self.nodes, "EXISTS")
        require(parent.owner == 0, "PARENT_IS_EPHEMERAL")
        self.afford(path, 1, len(command.data or b""))
        node = Znode(command.data, acl, self.zxid, self.now, self.zxid, self.now, self.zxid)
        node.owner = lease if mode in (1, 3) else 0
        node.ttl, node.container = command.ttl_ms, mode == 4
        self.nodes[path] = node
        parent.creations += 1
        parent.pzxid = self.zxid
        self.recount(path if path.endswith("/zookeeper_stats") else None)
        return path

    def do_setdata(self, command: commands.SetData, origin: str, lease: int = 0) -> str:
        session = self.session(lease or command.lease, origin)
        path = text(command.path)
        require(sane(path), "BAD_ARGUMENTS")
        require(path in self.nodes, "NO_KEY")
        node = self.nodes[path]
        self.permit(node, 2, session)
        self.afford(path, 0, len(command.data or b"") - len(node.data or b""))
        require(command.version in (-1, node.version), "BAD_VERSION")
        node.data, node.mzxid, node.mtime = command.data, self.zxid, self.now
        node.version += 1
        self.recount()
        return "done"

    def do_delete(self, command: commands.Delete, origin: str, lease: int = 0) -> str:
        session = self.session(lease or command.lease, origin)
        path = text(command.path)
        require("/" in path and "\0" not in path and path not in SPECIAL, "BAD_ARGUMENTS")
        above = path[: path.rindex("/")] or "/"
        require(above in self.nodes, "NO_PARENT")
        self.permit(self.nodes[above], 8, session)
        require(path in self.nodes, "NO_KEY")
        require(command.version in (-1, self.nodes[path].version), "BAD_VERSION")
        require(not self.children(path), "NOT_EMPTY")
        return self.remove(path)

    def do_setacl(self, command: commands.SetAcl, origin: str) -> str:
        session = self.session(command.lease, origin)
        path = text(command.path)
        require(sane(path), "BAD_ARGUMENTS")
        acl = self.fixed(command.acl, session)
        require(path in self.nodes, "NO_KEY")
        node = self.nodes[path]
        self.permit(node, 16, session)
        require(command.version in (-1, node.aversion), "BAD_VERSION")
        node.acl = acl
        node.aversion += 1
        return "done"

    def do_check(self, command: commands.Check, origin: str, lease: int = 0) -> str:
        session = self.session(lease or command.lease, origin)
        path = text(command.path)
        require(sane(path), "BAD_ARGUMENTS")
        require(path in self.nodes, "NO_KEY")
        self.permit(self.nodes[path], 1, session)
        require(command.version in (-1, self.nodes[path].version), "BAD_VERSION")
        return "done"

    def do_removeidle(self, command: commands.RemoveIdle, origin: str) -> str:
        path = text(command.path)
        require(path in self.nodes, "NO_KEY")
        node = self.nodes[path]
        require(not self.children(path), "NOT_EMPTY")
        require((node.mzxid, node.pzxid) == (command.modify_revision, command.children_revision), "STALE")
        require(
            (node.container and node.creations > 0) or (node.ttl and self.now - node.mtime > node.ttl),
            "STALE"
        )
        return self.remove(path)

    # --- rules
    # -----------------------------------------------------------------------------------------------

    def session(self, lease: int, origin: str) -> Session:
        require(lease in self.sessions, "NO_LEASE")
        require(self.sessions[lease].owner == origin, "LEASE_MOVED")
        return self.sessions[lease]

    def remove(self, path: str) -> str:
        del self.nodes[path]
        self.nodes[path[: path.rindex("/")] or "/"].pzxid = self.zxid
        self.recount()
        return "done"

    def permit(self, node: Znode, bit: int, session: Session) -> None:
        proven = session.credentials
        if any(c.scheme == "super" for c in proven):
            return
        for line in node.acl:
            if line.permissions & bit:
                if (line.scheme, line.id) == ("world", "anyone") or (line.scheme, line.id) in proven:
                    return
                if line.scheme == "ip":
                    network = ipaddress.ip_network(line.id, strict=False)
                    if any(c.scheme == "ip" and ipaddress.ip_address(c.id) in network for c in proven):
                        return
        raise Refused("NOT_ALLOWED")

    def fixed(self, acl: tuple[Permission, ...] | None, session: Session) -> tuple[Permission, ...]:
        if acl is None:
            return OPEN
        lines: list[Permission] = []
        for line in sorted(set(acl), key=acl.index):
            if line.scheme == "auth":
                proven = [c for c in session.credentials if c.scheme in ("digest", "sasl", "x509")]
                require(proven, "INVALID_ACL")
                lines += [Permission(line.permissions, c.scheme, c.id) for c in proven]
            else:
                good = {
                    "world": line.id == "anyone",
                    "digest": re.fullmatch("[^:]*:[^:]+", line.id),
                    "ip": re.fullmatch(r"(\d+\.){3}\d+(/\d+)?", line.id),
                }
                require(good.get(line.scheme), "INVALID_ACL")
                lines.append(line)
        require(lines, "INVALID_ACL")
        return tuple(lines)

    # --- quotas
    # ------------------------------------------------------------------------------------------------

    def bounds(self) -> dict[str, dict[str, int]]:
        found = {}
        for path, node in self.nodes.items():
            match = re.fullmatch(r"/zookeeper/quota(/.+)/zookeeper_limits", path)
            if match and not re.match("/zookeeper(/|$)", match[1]):
                pairs = re.findall(r"(\w+)=(-?\d+)", (node.data or b"").decode())
                found[match[1]] = {name: int(number) for name, number in pairs}
        return found

    def weigh(self, bound: str) -> tuple[int, int]:
        inside = [n for p, n in self.nodes.items() if p == bound or p.startswith(bound + "/")]
        return len(inside), sum(len(n.data or b"") for n in inside)

    def afford(self, path: str, count: int, size: int) -> None:
        bounds = {b: limits for b, limits in self.bounds().items() if path == b or path.startswith(b + "/")}
        if not bounds:
            return
        nearest = max(bounds, key=len)
        if f"/zookeeper/quota{nearest}/zookeeper_stats" not in self.nodes:
            return
        used_count, used_size = self.weigh(nearest)
        most_count = bounds[nearest].get("countHardLimit", -1)
        most_size = bounds[nearest].get("byteHardLimit", -1)
        require(not (count and -1 < most_count < used_count + count), "QUOTA_EXCEEDED")
        require(not (size and -1 < most_size < used_size + size), "QUOTA_EXCEEDED")

    def recount(self, new_stats: str | None = None) -> None:
        """Stats are written when what is used has changed, and when the key for them was just made."""
        for bound in self.bounds():
            stats = self.nodes.get(f"/zookeeper/quota{bound}/zookeeper_stats")
            used = self.weigh(bound)
            if stats is not None and bound in self.used and used != self.used[bound]:
                stats.data = b"count=%d,bytes=%d" % used
        self.used = {bound: self.weigh(bound) for bound in self.bounds()}
        match = re.fullmatch(r"/zookeeper/quota(/.+)/zookeeper_stats", new_stats or "")
        if match and not re.match("/zookeeper(/|$)", match[1]):
            self.nodes[str(new_stats)].data = b"count=%d,bytes=%d" % self.weigh(match[1])


def text(path: bytes) -> str:
    return path.decode("utf-8", errors="replace")


def sane(path: str) -> bool:
    if path == "/":
        return True
    if not path.startswith("/") or any(part in ("", ".", "..") for part in path[1:].split("/")):
        return False
    codes = [ord(character) for character in path]
    return not any(
        c <= 0x1F or 0x7F <= c <= 0x9F or 0xD800 <= c <= 0xF8FF or c >= 0xFFF0 for c in codes
    )
