"""How calls of the etcd API fail: clients compare the texts, so each stands here once, to the letter.

Codes and texts are those of etcd 3.5 and 3.6; where the two differ a comment says which was taken.  A few
are odd (an UNKNOWN where one expects something better): those are what real servers put on the wire, and
what clients have learned to match.
"""

from __future__ import annotations

from typing import Final

from agreed.wire.grpc.status import Code, Status


def _etcd(code: Code, text: str) -> Status:
    return Status(code, f"etcdserver: {text}")


# The request makes no sense.
EMPTY_KEY: Final = _etcd(Code.INVALID_ARGUMENT, "key is not provided")
KEY_NOT_FOUND: Final = _etcd(Code.INVALID_ARGUMENT, "key not found")
VALUE_PROVIDED: Final = _etcd(Code.INVALID_ARGUMENT, "value is provided")
LEASE_PROVIDED: Final = _etcd(Code.INVALID_ARGUMENT, "lease is provided")
TOO_MANY_OPS: Final = _etcd(Code.INVALID_ARGUMENT, "too many operations in txn request")
DUPLICATE_KEY: Final = _etcd(Code.INVALID_ARGUMENT, "duplicate key given in txn request")
INVALID_CLIENT_API_VERSION: Final = _etcd(Code.INVALID_ARGUMENT, "invalid client api version")
INVALID_SORT_OPTION: Final = _etcd(Code.INVALID_ARGUMENT, "invalid sort option")
MEMBER_BAD_URLS: Final = _etcd(Code.INVALID_ARGUMENT, "given member URLs are invalid")
REQUEST_TOO_LARGE: Final = _etcd(Code.INVALID_ARGUMENT, "request is too large")

# Revisions and leases.
COMPACTED: Final = _etcd(Code.OUT_OF_RANGE, "mvcc: required revision has been compacted")
FUTURE_REVISION: Final = _etcd(Code.OUT_OF_RANGE, "mvcc: required revision is a future revision")
LEASE_TTL_TOO_LARGE: Final = _etcd(Code.OUT_OF_RANGE, "too large lease TTL")
LEASE_NOT_FOUND: Final = _etcd(Code.NOT_FOUND, "requested lease not found")
LEASE_EXISTS: Final = _etcd(Code.FAILED_PRECONDITION, "lease already exists")
NOT_PRIMARY_LESSOR: Final = Status(Code.UNKNOWN, "not a primary lessor")
WATCH_CANCELED: Final = _etcd(Code.CANCELLED, "watch canceled")

# Space and load.
NO_SPACE: Final = _etcd(Code.RESOURCE_EXHAUSTED, "mvcc: database space exceeded")
TOO_MANY_REQUESTS: Final = _etcd(Code.UNKNOWN, "too many requests")  # declared 8, sent as 2 by real servers
CORRUPT: Final = _etcd(Code.DATA_LOSS, "corrupt cluster")

# Members and leadership.
MEMBER_NOT_FOUND: Final = _etcd(Code.NOT_FOUND, "member not found")
MEMBER_EXISTS: Final = _etcd(Code.FAILED_PRECONDITION, "member ID already exist")
PEER_URL_EXISTS: Final = _etcd(Code.FAILED_PRECONDITION, "Peer URLs already exists")
MEMBER_NOT_ENOUGH_STARTED: Final = _etcd(  # declared 9, sent as 2 by real servers
    Code.UNKNOWN, "re-configuration failed due to not enough started members"
)
MEMBER_NOT_LEARNER: Final = _etcd(Code.FAILED_PRECONDITION, "can only promote a learner member")
LEARNER_NOT_READY: Final = _etcd(
    Code.FAILED_PRECONDITION, "can only promote a learner member which is in sync with leader"
)
TOO_MANY_LEARNERS: Final = _etcd(Code.FAILED_PRECONDITION, "too many learner members in cluster")
CLUSTER_ID_MISMATCH: Final = _etcd(Code.FAILED_PRECONDITION, "cluster ID mismatch")
LEARNER_UNSUPPORTED: Final = _etcd(  # 9 in 3.6
    Code.UNAVAILABLE, "rpc not supported for learner"
)
NOT_LEADER: Final = _etcd(Code.FAILED_PRECONDITION, "not leader")
BAD_LEADER_TRANSFEREE: Final = _etcd(Code.FAILED_PRECONDITION, "bad leader transferee")
LEADER_TRANSFER_TIMEOUT: Final = _etcd(Code.UNKNOWN, "request timed out, leader transfer took too long")
NOT_CAPABLE: Final = _etcd(Code.UNAVAILABLE, "not capable")  # 9 in 3.6

# Not now, or not known whether.
NO_LEADER: Final = _etcd(Code.UNAVAILABLE, "no leader")
LEADER_CHANGED: Final = _etcd(Code.UNAVAILABLE, "leader changed")
STOPPED: Final = _etcd(Code.UNAVAILABLE, "server stopped")
TIMEOUT: Final = _etcd(Code.UNAVAILABLE, "request timed out")
TIMEOUT_LEADER_FAILURE: Final = _etcd(
    Code.UNAVAILABLE, "request timed out, possibly due to previous leader failure"
)
TIMEOUT_CONNECTION_LOST: Final = _etcd(
    Code.UNAVAILABLE, "request timed out, possibly due to connection lost"
)
TIMEOUT_APPLIED_INDEX: Final = _etcd(
    Code.UNAVAILABLE, "request timed out, waiting for the applied index took too long"
)
UNHEALTHY: Final = _etcd(Code.UNAVAILABLE, "unhealthy cluster")
REQUEST_CANCELED: Final = _etcd(Code.CANCELLED, "request canceled")
DEADLINE_EXCEEDED: Final = Status(Code.DEADLINE_EXCEEDED, "context deadline exceeded")
WRITE_TIMEOUT: Final = Status(Code.UNKNOWN, "context deadline exceeded")  # a write that found no majority

# Users and roles.
ROOT_USER_MISSING: Final = _etcd(Code.FAILED_PRECONDITION, "root user does not exist")
ROOT_ROLE_MISSING: Final = _etcd(Code.FAILED_PRECONDITION, "root user does not have root role")
USER_EMPTY: Final = _etcd(Code.INVALID_ARGUMENT, "user name is empty")
USER_EXISTS: Final = _etcd(Code.FAILED_PRECONDITION, "user name already exists")
USER_NOT_FOUND: Final = _etcd(Code.FAILED_PRECONDITION, "user name not found")
ROLE_EMPTY: Final = _etcd(Code.INVALID_ARGUMENT, "role name is empty")
ROLE_EXISTS: Final = _etcd(Code.FAILED_PRECONDITION, "role name already exists")
ROLE_NOT_FOUND: Final = _etcd(Code.FAILED_PRECONDITION, "role name not found")
ROLE_NOT_GRANTED: Final = _etcd(Code.FAILED_PRECONDITION, "role is not granted to the user")
PERMISSION_NOT_GRANTED: Final = _etcd(Code.FAILED_PRECONDITION, "permission is not granted to the role")
PERMISSION_NOT_GIVEN: Final = _etcd(Code.INVALID_ARGUMENT, "permission not given")
AUTH_FAILED: Final = _etcd(
    Code.INVALID_ARGUMENT, "authentication failed, invalid user ID or password"
)
AUTH_NO_PASSWORD_USER: Final = Status(
    Code.UNKNOWN, "auth: authentication failed, password was given for no password user"
)
AUTH_NOT_ENABLED: Final = _etcd(Code.FAILED_PRECONDITION, "authentication is not enabled")
AUTH_OLD_REVISION: Final = _etcd(Code.INVALID_ARGUMENT, "revision of auth store is old")
INVALID_AUTH_MANAGEMENT: Final = _etcd(Code.INVALID_ARGUMENT, "invalid auth management")
ADMIN_DENIED: Final = Status(Code.UNKNOWN, "auth: permission denied")  # maintenance calls of 3.5
INVALID_AUTH_TOKEN: Final = _etcd(Code.UNAUTHENTICATED, "invalid auth token")
PERMISSION_DENIED: Final = _etcd(Code.PERMISSION_DENIED, "permission denied")

# Downgrades.
DOWNGRADE_BAD_FORMAT: Final = _etcd(Code.INVALID_ARGUMENT, "wrong downgrade target version format")
DOWNGRADE_BAD_VERSION: Final = _etcd(Code.INVALID_ARGUMENT, "invalid downgrade target version")
DOWNGRADE_IN_PROGRESS: Final = _etcd(Code.FAILED_PRECONDITION, "cluster has a downgrade job in progress")
DOWNGRADE_NOT_IN_PROGRESS: Final = _etcd(Code.FAILED_PRECONDITION, "no inflight downgrade job")
CLUSTER_VERSION_UNKNOWN: Final = _etcd(  # 9 in 3.6
    Code.UNAVAILABLE, "cluster version not found during downgrade"
)
UNKNOWN_METHOD: Final = _etcd(Code.UNKNOWN, "unknown method")

# Locks and elections, as the server's own client of itself words them.
LOCK_LEASE_NOT_FOUND: Final = _etcd(Code.UNKNOWN, "requested lease not found")
UNLOCK_EMPTY_KEY: Final = _etcd(Code.UNKNOWN, "key is not provided")
LOCK_SESSION_EXPIRED: Final = Status(Code.UNKNOWN, "mutex: session is expired")
ELECTION_NOT_LEADER: Final = Status(Code.UNKNOWN, "election: not leader")
ELECTION_NO_LEADER: Final = Status(Code.UNKNOWN, "election: no leader")
ELECTION_LEADER_FIELD: Final = Status(Code.UNKNOWN, '"leader" field must be provided')

HEALTH_UNKNOWN_SERVICE: Final = Status(Code.NOT_FOUND, "unknown service")

# `cancel_reason` of a watch that is refused.
WATCH_EMPTY_RANGE: Final = "mvcc: watcher range is empty"
WATCH_DUPLICATE_ID: Final = "mvcc: duplicate watch ID provided on the WatchStream"

_GO_NAMES: Final = {Code.OK: "OK", Code.CANCELLED: "Canceled"}


def as_reason(status: Status) -> str:
    """A status within a sentence, as servers written in Go put it: `cancel_reason` of a watch denied."""
    name = _GO_NAMES.get(status.code) or "".join(word.title() for word in status.code.name.split("_"))
    return f"rpc error: code = {name} desc = {status.message}"


def message_too_large(size: int, limit: int) -> Status:
    """Sizes in bytes."""
    return Status(
        Code.RESOURCE_EXHAUSTED, f"grpc: received message larger than max ({size} vs. {limit})"
    )


def unknown_method(service: str, name: str) -> Status:
    return Status(Code.UNIMPLEMENTED, f"unknown method {name} for service {service}")


def unknown_service(service: str) -> Status:
    return Status(Code.UNIMPLEMENTED, f"unknown service {service}")
