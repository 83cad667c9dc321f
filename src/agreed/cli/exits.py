"""With which code a command ends, so that a script can tell a refusal from a lost answer.

    0    done
    1    refused: the cluster or the node said no, and nothing was changed; or a node reports a problem
    2    misused: an unknown flag, a contradiction in the configuration
    3    no answer: nothing could be reached, or the answer was lost (then the message says so)
    70   a bug of ours, with a traceback
    74   the disk failed: a write or fsync did not succeed, and the node stopped rather than guess
    75   not obtained: the lock or leadership was not had within `--timeout`; the command did not run
    76   lost: the lock or leadership was lost while the command ran, which was ended for it
    78   must not be started: the data directory is damaged or another node's, or an address is taken
    126  the command cannot be run
    127  the command is not there
    130  interrupted (128 and its number for other signals)

`agreed lock` and `agreed run` pass on what their command ends with, which may be any of these as well.
"""

from __future__ import annotations

from agreed.errors import (
    AgreedError,
    ConfigurationError,
    CorruptData,
    DiskFailed,
    MembershipRefused,
    NotLeader,
    WrongIdentity,
)

REFUSED, MISUSED, NO_ANSWER, BUG, DISK_FAILED, NOT_STARTED, INTERRUPTED = 1, 2, 3, 70, 74, 78, 130
NOT_OBTAINED, LOST, NOT_EXECUTABLE, NOT_FOUND = 75, 76, 126, 127


def exit_code(error: AgreedError) -> int:
    """Which of the codes above an error ends with."""
    if isinstance(error, ConfigurationError):
        return MISUSED
    if isinstance(error, DiskFailed):
        return DISK_FAILED
    if isinstance(error, CorruptData | WrongIdentity):
        return NOT_STARTED
    if isinstance(error, MembershipRefused | NotLeader):
        return REFUSED
    return _of_a_service(error)


def _of_a_service(error: AgreedError) -> int:
    # Imported here: most commands end without an error, and many never speak to a service.
    from agreed.backends.errors import TooMuchBelow
    from agreed.client.errors import AuthenticationFailed, Refused
    from agreed.recipes.errors import AcquireTimeout, CodecError, Conflict, Differs, Lost

    if isinstance(error, AcquireTimeout):
        return NOT_OBTAINED
    if isinstance(error, Lost):
        return LOST
    refused = (
        Refused,
        AuthenticationFailed,
        CodecError,
        Conflict,
        Differs,
        NotImplementedError,
        TooMuchBelow,
    )
    return REFUSED if isinstance(error, refused) else NO_ANSWER
