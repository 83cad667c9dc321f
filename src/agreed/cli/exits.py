"""With which code a command ends, so that a script can tell a refusal from a lost answer.

    0    done
    1    refused: the cluster or the node said no, and nothing was changed; or a node reports a problem
    2    misused: an unknown flag, a contradiction in the configuration
    3    no answer: nothing could be reached, or the answer was lost (then the message says so)
    70   a bug of ours, with a traceback
    74   the disk failed: a write or fsync did not succeed, and the node stopped rather than guess
    78   must not be started: the data directory is damaged or another node's, or an address is taken
    130  interrupted
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


def exit_code(error: AgreedError) -> int:
    """Which of the codes above an error ends with."""
    if isinstance(error, ConfigurationError):
        return MISUSED
    if isinstance(error, DiskFailed):
        return DISK_FAILED
    if isinstance(error, CorruptData | WrongIdentity):
        return NOT_STARTED
    return REFUSED if isinstance(error, MembershipRefused | NotLeader) else NO_ANSWER
