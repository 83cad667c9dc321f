"""What is asked of three nodes, and of a fourth one that joins them as a learner and leaves again:
leadership, membership, and life without a quorum."""

from __future__ import annotations

import contextlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from tests.acceptance.cluster import Node, wait_until
from tests.acceptance.etcd.api import EtcdApi, Silent
from tests.acceptance.etcd.ensemble import EtcdEnsemble, EtcdFace, get
from tests.acceptance.etcd.interview import Interview, refused
from tests.acceptance.etcd.schema import pb

HAS_LEADER = (("hasleader", "true"),)
HELD_BACK_S = 20.0


class Situations:
    def __init__(self, cluster: EtcdEnsemble | EtcdFace) -> None:
        self.cluster = cluster
        self.lines: list[str] = []
        self._stack = contextlib.ExitStack()

    def of(self, node: Node) -> Interview:
        """Who asks this node; what it hears comes to the other lines."""
        address = self.cluster.etcd_addresses[self.cluster.nodes.index(node)]
        interview = Interview(self._stack.enter_context(EtcdApi(address)))
        interview.lines = self.lines
        return interview

    def ask_all(self) -> list[str]:
        """From the first change of members on, revisions are left out: with us each of them has one, because
        ZooKeeper's clients see the members as a node that changes."""
        with self._stack:
            self._leadership()
            known = len(self.lines)
            added = self._learner()
            self._removal(added)
            self._no_quorum()
        return self.lines[:known] + [re.sub(r" rev \d+\b", "", line) for line in self.lines[known:]]

    def _leader(self) -> tuple[Node, Node, Node]:
        leader = self.cluster.wait_for_leader()
        others = [node for node in self.cluster.nodes[:3] if node is not leader]
        return leader, others[0], others[1]

    def _ids(self, api: EtcdApi) -> dict[str, int]:
        return {member.name: member.ID for member in api.call("MemberList").members}

    def _leadership(self) -> None:
        leader, follower, other = self._leader()
        first, second = self.of(leader), self.of(follower)
        ids = self._ids(first.api)
        second.ask("move the leader, asked of a follower", "MoveLeader", targetID=ids[other.name])
        first.ask("move the leader to itself", "MoveLeader", targetID=ids[leader.name])
        first.ask("move the leader to nobody", "MoveLeader", targetID=4242)
        first.ask("move the leader", "MoveLeader", targetID=ids[other.name])
        wait_until(lambda: self.cluster.leader() is other, 30, "the leader has moved")
        second.ask("grant on a follower", "LeaseGrant", TTL=30, ID=30)
        first.ask("put with it on another one", "Put", key=b"leased", lease=30)
        second.api.call("Range", key=b"leased")
        with second.api.stream("LeaseKeepAlive") as stream:
            stream.send(ID=30)
            second.hear("keep-alive on a follower", stream, 1)
        second.attempt("time to live on a follower", lambda: _time_to_live(second))
        with second.api.stream("Watch") as stream:
            stream.send(create_request=pb.WatchCreateRequest(key=b"watched"))
            second.hear("watch on a follower", stream, 1)
            first.ask("put elsewhere", "Put", key=b"watched", value=b"1")
            second.hear("it is heard on the follower", stream, 1)
        second.ask("compact on a follower", "Compact", revision=2)
        first.ask("revoke elsewhere", "LeaseRevoke", ID=30)

    def _learner(self) -> Node:
        _, follower, _ = self._leader()
        asked = self.of(follower)
        added = self.cluster.newcomer()
        urls = [f"http://127.0.0.1:{added.peer_port}"]
        wait_until(lambda: self._may_add(asked, urls), 30, "members can be added")
        asked.ask("add a second learner", "MemberAdd", peerURLs=["http://127.0.0.1:1"], isLearner=True)
        (number,) = [member.ID for member in asked.api.call("MemberList").members if member.isLearner]
        asked.ask("promote it before it was started", "MemberPromote", ID=number)
        self.cluster.start_newcomer(added)
        learner = self.of(added)
        wait_until(lambda: _knows(learner.api), 60, "the learner knows who leads")
        learner.ask("learner: put", "Put", key=b"l")
        learner.ask("learner: range", "Range", key=b"watched")
        learner.ask("learner: range, serializable", "Range", key=b"watched", serializable=True)
        learner.attempt("learner: is one", lambda: learner.api.call("Status").isLearner)
        learner.ask("learner: members", "MemberList")
        with learner.api.stream("Watch") as stream:
            stream.send(create_request=pb.WatchCreateRequest(key=b"l"))
            learner.hear("learner: watch", stream, 1)
        self.of(self._leader()[0]).ask("move the leader to the learner", "MoveLeader", targetID=number)
        wait_until(lambda: self._promoted(asked, number), 60, "the learner is promoted")
        asked.attempt("members after that", lambda: _shapes(_agreed(asked.api)))
        wait_until(lambda: _reads(learner.api), 60, "who was promoted serves")
        learner.ask("promoted: range", "Range", key=b"watched")
        asked.ask("promote it again", "MemberPromote", ID=number)
        return added

    def _may_add(self, asked: Interview, urls: list[str]) -> bool:
        try:
            reply = asked.api.call("MemberAdd", peerURLs=urls, isLearner=True)
        except grpc.RpcError as refusal:
            if "unhealthy cluster" not in refused(refusal):
                raise
            return False
        asked.say("add a learner", f"{asked.told(reply.member)} of {_shapes(reply.members)}")
        return True

    def _promoted(self, asked: Interview, number: int) -> bool:
        try:
            reply = asked.api.call("MemberPromote", ID=number)
        except grpc.RpcError as refusal:
            if "in sync" not in refused(refusal):
                raise
            return False
        asked.say("promote", f"{len(reply.members)} members, {asked.told(reply.header)}")
        return True

    def _removal(self, added: Node) -> None:
        leader, *_ = self._leader_of_four(added)
        asked = self.of(leader)
        number = self._ids(asked.api)[added.name]
        wait_until(lambda: self._removed(asked, number), 30, "a member can be removed")
        gone = self.of(added)
        wait_until(lambda: not _reads(gone.api), 30, "who was removed serves no more")
        added.kill()
        self.cluster.nodes.remove(added)
        asked.ask("remove it again", "MemberRemove", ID=number)

    def _removed(self, asked: Interview, number: int) -> bool:
        try:
            reply = asked.api.call("MemberRemove", ID=number, timeout_s=HELD_BACK_S)
        except grpc.RpcError as refusal:
            if "unhealthy cluster" not in refused(refusal):
                raise
            return False
        asked.say("remove", str(_shapes(reply.members)))
        return True

    def _leader_of_four(self, added: Node) -> tuple[Node, Node, Node]:
        """The one that was added does not lead: it could not be removed in peace."""
        if self.cluster.wait_for_leader() is added:
            with EtcdApi(f"127.0.0.1:{added.etcd_port}") as api:
                api.call("MoveLeader", targetID=self._ids(api)[self.cluster.nodes[0].name])
            wait_until(lambda: self.cluster.leader() is self.cluster.nodes[0], 30, "another one leads")
        return self._leader()

    def _no_quorum(self) -> None:
        leader, follower, other = self._leader()
        asked = self.of(leader)
        ids = self._ids(asked.api)
        other.kill()
        wait_until(lambda: self._unhealthy(asked), 30, "the loss of one is noticed")
        asked.ask("one down: put", "Put", key=b"down")
        asked.ask("one down: remove one that is up", "MemberRemove", ID=ids[follower.name])
        follower.kill()
        wait_until(lambda: _leaderless(asked.api), 30, "the leader has given up")
        asked.attempt("no quorum: status", lambda: asked.api.call("Status").errors)
        asked.ask("no quorum: range, serializable", "Range", key=b"watched", serializable=True)
        asked.ask("no quorum: range, hasleader", "Range", key=b"watched", metadata=HAS_LEADER)
        asked.ask("no quorum: add a member", "MemberAdd", peerURLs=["http://127.0.0.1:1"])
        # A node may wait for an election before it sends streams away; there is none to come.
        wait_until(lambda: _sends_away(asked.api), 30, "nobody is waited for any more")
        with asked.api.stream("Watch", metadata=HAS_LEADER) as stream:
            stream.send(create_request=pb.WatchCreateRequest(key=b"l"))
            asked.hear("no quorum: watch, hasleader", stream, 1)
        asked.attempt("no quorum: health", lambda: get(asked.api.address, "/health")[0::2])
        asked.attempt("no quorum: members", lambda: len(asked.api.call("MemberList").members))
        self._held_back(asked)

    def _held_back(self, asked: Interview) -> None:
        """What waits for a quorum, until the server gives up: all at once."""
        calls: dict[str, Any] = {
            "put": lambda: asked.api.call("Put", key=b"x", timeout_s=HELD_BACK_S),
            "range": lambda: asked.api.call("Range", key=b"x", timeout_s=HELD_BACK_S),
            "keep-alive": lambda: _kept_alive(asked.api),
        }
        with ThreadPoolExecutor(len(calls)) as pool:
            futures = {name: pool.submit(_outcome, call) for name, call in calls.items()}
        for name, future in futures.items():
            self.lines.append(f"no quorum: {name} -> {future.result()}")

    def _unhealthy(self, asked: Interview) -> bool:
        """A member cannot be added while one of three is down; the leader may take a moment to see it."""
        try:
            added = asked.api.call("MemberAdd", peerURLs=["http://127.0.0.1:1"])
        except grpc.RpcError as refusal:
            asked.say("one down: add a member", refused(refusal))
            return True
        asked.api.call("MemberRemove", ID=added.member.ID)
        return False


def _outcome(call: Any) -> str:
    try:
        return str(call())
    except grpc.RpcError as refusal:
        return refused(refusal)


def _kept_alive(api: EtcdApi) -> str:
    with api.stream("LeaseKeepAlive") as stream:
        stream.send(ID=30)
        return str(stream.next(HELD_BACK_S))


def _time_to_live(interview: Interview) -> str:
    reply = interview.api.call("LeaseTimeToLive", ID=30, keys=True)
    return f"{25 <= reply.TTL <= 30} of {reply.grantedTTL}, {list(reply.keys)}"


def _knows(api: EtcdApi) -> bool:
    try:
        status = api.call("Status", timeout_s=2)
        return bool(status.leader) and status.isLearner
    except (grpc.RpcError, Silent):
        return False


def _reads(api: EtcdApi) -> bool:
    try:
        return bool(api.call("Range", key=b"watched", timeout_s=2).kvs)
    except grpc.RpcError:
        return False


def _leaderless(api: EtcdApi) -> bool:
    code, _, text = get(api.address, "/v3/maintenance/status", "{}")
    return code == 200 and json.loads(text).get("leader", "0") == "0"


def _sends_away(api: EtcdApi) -> bool:
    with api.stream("Watch", metadata=HAS_LEADER) as stream:
        stream.send(create_request=pb.WatchCreateRequest(key=b"l"))
        try:
            stream.next()
        except grpc.RpcError:
            return True
        return False


def _agreed(api: EtcdApi) -> Any:
    return api.call("MemberList", linearizable=True).members


def _shapes(members: Any) -> list[tuple[str, bool]]:
    return sorted((member.name, member.isLearner) for member in members)
