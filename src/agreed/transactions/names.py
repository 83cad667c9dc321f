"""How a branch of a transaction is called in its database, so that recovery finds its own and no other.

    agreed : 5f0c2b6a91d3e847 : 8c1f...32 hexadecimal digits : billing
             the cluster        the transaction                 the branch

PostgreSQL takes names of less than 200 bytes; XA takes two parts of at most 64 bytes, of which the second
names the branch.  The longest of ours has 105 bytes, in parts of 56 and 48.

A transaction is named by 128 random bits: names are never used twice.  Were one used again, recovery would
finish the new transaction by the decision of the old one.

The cluster is named by 64 random bits that lie in its store since atomic commit was first used there.  Two
clusters that share a database do not touch each other's branches, whatever those are called.
"""
from __future__ import annotations

import re
import uuid
from typing import NamedTuple

from agreed.transactions.errors import Refused

PREFIX = "agreed"

FORMAT = int.from_bytes(PREFIX[:4].encode(), "big")
"""The format number of an XA name: who has made it."""

MOST_LETTERS = 48

_CLUSTER = re.compile(r"[0-9a-f]{16}")
_TRANSACTION = re.compile(r"[0-9a-f]{32}")
_BRANCH = re.compile(rf"[A-Za-z0-9_.-]{{1,{MOST_LETTERS}}}")


class BranchName(NamedTuple):
    """One branch of one transaction, unique in the world."""

    cluster: str
    transaction: str
    branch: str

    @property
    def text(self) -> str:
        """As PostgreSQL is told."""
        return f"{self.global_part}:{self.branch}"

    @property
    def global_part(self) -> str:
        """The first part of an XA name (gtrid); the second (bqual) is the branch."""
        return f"{PREFIX}:{self.cluster}:{self.transaction}"


def new_transaction() -> str:
    return uuid.uuid4().hex


def new_cluster() -> str:
    return uuid.uuid4().hex[:16]


def is_transaction(text: str) -> bool:
    return _TRANSACTION.fullmatch(text) is not None


def is_cluster(text: str) -> bool:
    return _CLUSTER.fullmatch(text) is not None


def check_branch(name: str) -> str:
    """The name, if a branch can be called so; else raises Refused."""
    if _BRANCH.fullmatch(name) is None:
        raise Refused(f"{name!r}: a branch is called by 1 to {MOST_LETTERS} of A-Z a-z 0-9 _ . -")
    return name


def parse(text: str) -> BranchName | None:
    """What `text` says; None if it is not one of ours, of whichever cluster."""
    prefix, _, rest = text.partition(":")
    cluster, _, rest = rest.partition(":")
    transaction, _, branch = rest.partition(":")
    if prefix != PREFIX or not is_cluster(cluster) or not is_transaction(transaction):
        return None
    return BranchName(cluster, transaction, branch) if _BRANCH.fullmatch(branch) else None
