"""What can go wrong with what one holds together with others, beyond what a backend says (`client.errors`).

AgreedError
  AcquireTimeout      it was not obtained within `timeout`; nobody stands in line for it any more
  Lost                it was held, and is not for certain any more: somebody else may hold it
    LockLost PermitLost LeadershipLost MembershipLost JobLost
  NotHeld             it was given back before, by this program itself
  WaitTimeout         what one waited for has not come within `timeout`
  BarrierBroken       one of those who waited is gone; nobody was let through
  Differs             others use this name with another number
  Conflict            a key is not as it was said to be; nothing was changed
  TransactionTimeout  others were faster each time within `timeout`
  QueueFull           no place became free within `timeout`
  LogTrimmed          what one wanted to read is not kept any more
  CodecError          bytes that are not of the type, or a value that is not
  Diverged            this replica has made something else of the same commands
  NewerVersion        a program of a newer version has written that
"""

from __future__ import annotations

from agreed.errors import AgreedError


class AcquireTimeout(AgreedError, TimeoutError):
    """Not obtained in time.  Nothing of the attempt is left behind; only permits of a rate limiter, which
    nobody can give back, may have been taken by then (`surely_not_done` is False)."""

    def __init__(self, message: str, *, maybe: bool = False) -> None:
        super().__init__(message)
        self.surely_not_done = not maybe


class Lost(AgreedError):
    """What the grant protected may belong to somebody else by now.

    It was held for a while, so what the program did under it was partly done under its protection; what came
    last perhaps was not.  The fencing token tells: whatever checks it has refused what came too late."""


class LockLost(Lost):
    pass


class PermitLost(Lost):
    pass


class LeadershipLost(Lost):
    pass


class MembershipLost(Lost):
    pass


class JobLost(Lost):
    pass


class NotHeld(AgreedError):
    """It was given back already."""

    surely_not_done = True


class WaitTimeout(AgreedError, TimeoutError):
    """It has not come within `timeout`; nobody here waits for it any more.  `surely_not_done` unless nobody
    could say in time whether a barrier was open already."""

    def __init__(self, message: str, *, maybe: bool = False) -> None:
        super().__init__(message)
        self.surely_not_done = not maybe


class BarrierBroken(AgreedError):
    """A party that waited at it is gone with its session, and nobody of its generation was let through.  Who
    waits again waits for as many as before."""

    surely_not_done = True


class Differs(AgreedError):
    """Others use this name with another number (`theirs`): with two numbers it would mean nothing."""

    surely_not_done = True

    def __init__(self, name: str, what: str, ours: float, theirs: float) -> None:
        super().__init__(f"{name} has {theirs:g} {what}, and not {ours:g}")
        self.theirs = theirs


class Conflict(AgreedError):
    """The key is not as it was said to be: it is there (`if_absent`), or at another version."""

    surely_not_done = True


class TransactionTimeout(AgreedError, TimeoutError):
    """Not committed within `timeout`.  `surely_not_done` unless the time was over while it was committed."""

    def __init__(self, message: str, *, maybe: bool = False) -> None:
        super().__init__(message)
        self.surely_not_done = not maybe


class QueueFull(AgreedError, TimeoutError):
    """No place became free in time; nothing was put."""

    surely_not_done = True


class LogTrimmed(AgreedError, LookupError):
    """Records were asked for that are not kept any more; `first` is the first that is."""

    surely_not_done = True

    def __init__(self, name: str, first: int) -> None:
        super().__init__(f"{name} begins at {first} by now")
        self.first = first


class CodecError(AgreedError, ValueError):
    """Bytes that are not of the type, or a value that is not; nothing was written."""

    surely_not_done = True


class Diverged(AgreedError):
    """After command `position` of a replicated object, this replica has another state (`ours`: its digest, or
    what the command raised here) than whoever asked for `command` (`theirs`).

    One of them ran something that does not depend on the commands alone.  This replica answers nothing any
    more; what the call that met this was to do was not done."""

    surely_not_done = True

    def __init__(self, name: str, position: int, command: str, ours: str, theirs: str) -> None:
        super().__init__(
            f"{name}: {command}, command {position} of the log, has led to {ours} here, and to {theirs} where"
            " it was asked for"
        )
        self.name = name
        self.position = position
        self.command = command
        self.ours = ours
        self.theirs = theirs


class NewerVersion(AgreedError):
    """Something (`where`) needs a program with version `needs` of the class, and this one has `ours`."""

    surely_not_done = True

    def __init__(self, where: str, needs: int, ours: int) -> None:
        super().__init__(f"{where} needs version {needs}, and this is version {ours}")
        self.needs = needs
        self.ours = ours
