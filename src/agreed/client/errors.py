"""What can go wrong with a request; each error says whether the thing surely was not done, or may have been.

    a request returns       it was done
    Refused                 surely not done: the server says why, and that says something about the state
    Unanswered              not `maybe`: surely not done, and nobody looked at the state
                            `maybe`: it may have been done, or may still be; whoever must know looks for what
                            it would have changed (a version, a name of one's own)

Every one of them is an `AgreedError` with `surely_not_done`; `maybe` is the opposite of it.

    AgreedError
      ClientError
        Refused             NoNode NodeExists BadVersion NotEmpty NoChildrenForEphemerals NoAuth InvalidAcl
                            BadArguments TooLarge QuotaExceeded NoWatcher NotSupported ReadOnly Throttled
        Unanswered          ConnectionLost TimedOut SessionExpired SessionClosed ServersUnknown UnknownAnswer
        AuthenticationFailed
        Forked
"""
from __future__ import annotations

from typing import Final

from agreed.errors import AgreedError
from agreed.wire.zookeeper.messages import ErrorCode


class ClientError(AgreedError):
    """Anything that the client of a cluster raises."""

    @property
    def maybe(self) -> bool:
        """It may have been done, or may still be."""
        return not self.surely_not_done


class Refused(ClientError):
    """The server said no, and nothing was changed.

    `path` is the path of the request; of a `multi` the one whose operation was refused, and `index` is that
    operation's place in it (None elsewhere)."""

    surely_not_done = True

    def __init__(self, path: str, index: int | None = None) -> None:
        where = "" if index is None else f" (operation {index} of a multi)"
        super().__init__(f"{path}{where}")
        self.path = path
        self.index = index


class NoNode(Refused):
    """It is not there; of a creation: its parent is not."""


class NodeExists(Refused):
    pass


class BadVersion(Refused):
    """It is not at the version that was named."""


class NotEmpty(Refused):
    """It has children, and cannot be deleted."""


class NoChildrenForEphemerals(Refused):
    pass


class NoAuth(Refused):
    """The access list does not allow it to whom this session has proven to be."""


class InvalidAcl(Refused):
    pass


class BadArguments(Refused):
    """A path or a number that makes no sense."""


class TooLarge(Refused):
    """More bytes than a server takes in one request; it was not sent, for the server would hang up."""


class QuotaExceeded(Refused):
    pass


class NoWatcher(Refused):
    pass


class NotSupported(Refused):
    """An older server, or one that has this switched off."""


class ReadOnly(Refused):
    """This server has no majority and only reads."""


class Throttled(Refused):
    pass


class Unanswered(ClientError):
    """There was no answer.  `maybe` False: it was surely not done."""

    def __init__(self, message: str, *, maybe: bool) -> None:
        super().__init__(message + ("; it may have been done" if maybe else "; it was not done"))
        self.surely_not_done = not maybe


class ConnectionLost(Unanswered):
    """The connection was lost before the answer came; the session goes on, on another one."""


class TimedOut(Unanswered, TimeoutError):
    """No answer within `timeout_s`; not `maybe`: all the time there was no connection to send it on."""


class SessionExpired(Unanswered):
    """The session is over: what was ephemeral is gone, watches are gone.  A new one is a new `connect`."""


class SessionClosed(Unanswered):
    """`close` was called on this session, by this program."""


class ServersUnknown(Unanswered):
    """DNS does not tell where the servers are: no such name, no SRV records, or it cannot be asked."""


class AuthenticationFailed(ClientError):
    """The server takes none of the given credentials; the session ends."""

    surely_not_done = True


class Forked(ClientError):
    """This process is a copy of the one that made the session: it must not speak for it.  Connect anew."""

    surely_not_done = True

    def __init__(self) -> None:
        super().__init__("this session belongs to the process that made it; a forked one connects anew")


class UnknownAnswer(Unanswered):
    """The server's answer is an error which has no class here, or is about the server itself; `code` is its
    number."""

    def __init__(self, path: str, code: int) -> None:
        super().__init__(f"{path}: the server answered with error {code}", maybe=True)
        self.code = code


REFUSALS: Final[dict[int, type[Refused]]] = {
    ErrorCode.NO_NODE: NoNode,
    ErrorCode.NODE_EXISTS: NodeExists,
    ErrorCode.BAD_VERSION: BadVersion,
    ErrorCode.NOT_EMPTY: NotEmpty,
    ErrorCode.NO_CHILDREN_FOR_EPHEMERALS: NoChildrenForEphemerals,
    ErrorCode.NO_AUTH: NoAuth,
    ErrorCode.INVALID_ACL: InvalidAcl,
    ErrorCode.BAD_ARGUMENTS: BadArguments,
    ErrorCode.MARSHALLING_ERROR: BadArguments,
    ErrorCode.QUOTA_EXCEEDED: QuotaExceeded,
    ErrorCode.NO_WATCHER: NoWatcher,
    ErrorCode.UNIMPLEMENTED: NotSupported,
    ErrorCode.NOT_READ_ONLY: ReadOnly,
    ErrorCode.THROTTLED: Throttled,
}


def error_of(code: int, path: str, index: int | None = None) -> ClientError:
    """The error for an error code of the wire; `path` and `index` as in `Refused`."""
    if code in REFUSALS:
        return REFUSALS[code](path, index)
    if code == ErrorCode.SESSION_MOVED:
        return ConnectionLost("the session is on another server by now", maybe=False)
    return UnknownAnswer(path, code)
