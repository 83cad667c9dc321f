"""Sessions: how a connection becomes one, who it has proven to be, and how it ends.

A session is a lease of the store, granted and attached through the log (`store/lease_commands.py`).  Here is
which connection of this node speaks for it: at most one, the last that came with the session's secret.

The credentials of a connection are added to the session through the log too, since the store decides who may
do what; a copy is kept with the connection, for reads and watches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agreed.replica.clients import WRITE, Client, Errand
from agreed.store.commands import AddCredential, AttachLease, GrantLease, RevokeLease
from agreed.store.records import Credential
from agreed.store.results import LeaseResult, Refusal, Result
from agreed.types import Instant, LeaseId
from agreed.wire.zookeeper import credentials
from agreed.wire.zookeeper.messages import (
    XID_AUTH,
    AuthRequest,
    ConnectRequest,
    ConnectResponse,
    ErrorCode,
    SaslRequest,
)
from agreed.wire.zookeeper.reply_codec import (
    encode_connect_response,
    header_reply,
    sasl_failure,
    sasl_reply,
)
from agreed.wire.zookeeper.sasl import Authenticated, Challenge, DigestMd5Server

if TYPE_CHECKING:
    from agreed.replica.replica import Replica
    from agreed.replica.zookeeper import ZooKeeperClients

NO_SECRET = bytes(16)


class Sessions:
    """The sessions whose clients are connected to this node."""

    def __init__(self, replica: Replica, front: ZooKeeperClients) -> None:
        self._replica = replica
        self._front = front
        self._by_lease: dict[LeaseId, Client] = {}
        self._reported_at: Instant = replica.now
        self._heard_and_left: list[LeaseId] = []
        """They spoke since the last report, on connections that are gone by now."""

    @property
    def clients(self) -> Mapping[LeaseId, Client]:
        return self._by_lease

    def connect(self, client: Client, xid: int, request: object) -> None:
        assert isinstance(request, ConnectRequest)
        replica = self._replica
        if self._front.suspended or not replica.serving:
            if self._front.read_only and request.read_only:
                self._connect_read_only(client, request)
            else:
                self._front.drop(client, "nobody leads, and it did not ask for read-only service")
            return
        low, high = replica.settings.session_timeout_ms
        ttl_ms = min(max(request.timeout_ms, low), high)
        client.queue.append((xid, request, WRITE))
        self._front.hold_back(client)
        if request.session_id == 0:
            lease = int.from_bytes(replica.entropy(8), "big") & 0x7EFF_FFFF_FFFF_FFFF or 1
            replica.requests.submit(
                GrantLease(lease, ttl_ms, replica.entropy(16), client.credentials), client
            )
        else:
            self._leave_old_connection(request)
            replica.requests.submit(
                AttachLease(request.session_id, ttl_ms, request.password, client.credentials), client
            )

    def _leave_old_connection(self, request: ConnectRequest) -> None:
        """If it is on this node, no log will refuse what it still says: this node owns the session.  And what
        arrives of it after the client has turned away must not be done behind the client's back."""
        old = self._by_lease.get(request.session_id)
        known = self._replica.store.leases.get(request.session_id)
        if old is not None and known is not None and known.secret == request.password:
            self._front.drop(old, None)

    def connected(self, client: Client, xid: int, request: object, result: Result) -> None:
        assert isinstance(request, ConnectRequest)
        if not isinstance(result, LeaseResult):
            refused = ConnectResponse(0, 0, 0, NO_SECRET, None if request.read_only is None else False)
            self._front.send(client, encode_connect_response(refused))
            self._front.drop(client, None)
            return
        if request.last_zxid_seen > self._replica.store.revision:
            self._front.drop(
                client, f"it has seen zxid {request.last_zxid_seen:#x}, this cluster never has"
            )
            return
        old = self._by_lease.get(result.lease)
        if old is not None:
            self._front.drop(old, None)
        self._by_lease[result.lease] = client
        client.lease = result.lease
        client.ttl_ms = result.ttl_ms
        read_only = None if request.read_only is None else False
        self._front.send(
            client,
            encode_connect_response(
                ConnectResponse(0, result.ttl_ms, result.lease, result.secret, read_only)
            ),
        )
        self._front.begin(client)

    def _connect_read_only(self, client: Client, request: ConnectRequest) -> None:
        """Without a quorum nothing can be granted: the session is this node's own, or one it knows."""
        replica = self._replica
        low, high = replica.settings.session_timeout_ms
        ttl_ms = min(max(request.timeout_ms, low), high)
        known = replica.store.leases.get(request.session_id)
        # A lease of etcd's clients has an owner and a secret as little as this client has.
        if known is not None and known.owner is not None and known.secret == request.password:
            lease, secret = request.session_id, known.secret
        else:
            lease = int.from_bytes(replica.entropy(8), "big") & 0x7EFF_FFFF_FFFF_FFFF or 1
            secret = replica.entropy(16)
        if request.last_zxid_seen > replica.store.revision:
            self._front.drop(client, "it has seen more than this node, which has no quorum")
            return
        client.lease, client.ttl_ms, client.read_only, client.ready = lease, ttl_ms, True, True
        self._by_lease[lease] = client
        self._front.send(client, encode_connect_response(ConnectResponse(0, ttl_ms, lease, secret, True)))

    def close(self, client: Client, xid: int, request: object) -> None:
        if client.read_only:
            self._front.in_turn(client, xid, ErrorCode.OK)
            self._front.drop(client, None)
            return
        client.queue.append((xid, request, WRITE))
        self._replica.requests.submit(RevokeLease(client.lease), client)

    def closed(self, client: Client, xid: int, request: object, result: Result) -> None:
        self._front.send(client, header_reply(xid, self._replica.store.revision))
        self._front.drop(client, None)

    # --- who a client is ------------------------------------------------------------------------------

    def authenticate(self, client: Client, xid: int, request: object) -> None:
        assert isinstance(request, AuthRequest)
        proven = credentials.from_auth_packet(
            request.scheme, request.auth, client.address, self._replica.settings.super_digest
        )
        if proven is None:
            # At once, and not behind what it waits for: that will not be answered any more.
            self._front.send(client, header_reply(XID_AUTH, 0, ErrorCode.AUTH_FAILED))
            self._front.drop(client, f"it cannot prove anything with the scheme {request.scheme[:40]!r}")
            return
        self._add_credentials(client, xid, header_reply(xid, 0), proven)

    def _add_credentials(
        self, client: Client, xid: int, reply: bytes, proven: tuple[Credential, ...]
    ) -> None:
        """The reply leaves when the store knows them."""
        client.credentials = credentials.with_added(client.credentials, proven)
        if client.read_only:
            self._front.in_turn(client, xid, reply)
            return
        for credential in proven[:-1]:
            self._replica.requests.submit(AddCredential(client.lease, credential), Errand())
        client.queue.append((xid, reply, WRITE))
        self._replica.requests.submit(AddCredential(client.lease, proven[-1]), client)

    def authenticated(self, client: Client, xid: int, reply: object, result: Result) -> None:
        assert isinstance(reply, bytes)
        if isinstance(result, Refusal):
            self._front.drop(client, f"its credentials could not be added: {result.value}")
        else:
            self._front.send(client, reply)

    def sasl(self, client: Client, xid: int, request: object) -> None:
        assert isinstance(request, SaslRequest)
        if client.sasl is None:
            nonce = self._replica.entropy(24).hex()
            client.sasl = DigestMd5Server(nonce, self._replica.settings.sasl_users)
        match client.sasl.receive(request.token):
            case Challenge(token):
                self._front.in_turn(client, xid, sasl_reply(xid, token))
            case Authenticated(token, user):
                client.sasl = None
                self._add_credentials(client, xid, sasl_reply(xid, token), credentials.from_sasl(user, None))
            case refused:
                self._front.send(client, sasl_failure(xid))
                self._front.drop(client, f"its SASL exchange failed: {refused.reason}")

    # --- where a session is ---------------------------------------------------------------------------

    def left_by(self, client: Client) -> None:
        """This connection is gone; its session may come again on another."""
        if self._by_lease.get(client.lease) is client:
            del self._by_lease[client.lease]
            if client.heard_at >= self._reported_at or client.paused:
                self._heard_and_left.append(client.lease)

    def lease_left(self, lease: LeaseId, reason: str) -> None:
        """The session is over or elsewhere: its connection here, if any, goes."""
        client = self._by_lease.get(lease)
        if client is not None:
            self._front.drop(client, reason)

    def heard_since_last_report(self) -> list[LeaseId]:
        since, self._reported_at = self._reported_at, self._replica.now
        left, self._heard_and_left = self._heard_and_left, []
        # Whom this node does not read from may be speaking all the time.
        return left + [lease for lease, c in self._by_lease.items() if c.heard_at >= since or c.paused]
