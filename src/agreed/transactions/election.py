"""Who of several recoveries is the active one: the oldest whose session lives.

Two at once would do no harm (every step of recovery may be done twice, and by several), only the same work
twice. So nobody here waits for a certain moment; everybody looks again in each round.
"""
from __future__ import annotations

from agreed.client.errors import NoNode
from agreed.client.sync import Session
from agreed.transactions.decisions import RECOVERY

CANDIDATE = f"{RECOVERY}/candidate-"


def is_active(session: Session, who: str, timeout_s: float) -> bool:
    """Stands for election if this session does not yet.  Raises what the session raises."""
    owners = _owners(session, timeout_s)
    if session.id not in owners:
        session.create(CANDIDATE, who.encode(), ephemeral=True, sequential=True, timeout_s=timeout_s)
        owners = _owners(session, timeout_s)
    return owners[:1] == [session.id]


def _owners(session: Session, timeout_s: float) -> list[int]:
    """The sessions of the candidates, the oldest first."""
    owners: list[int] = []
    for name in session.children(RECOVERY, timeout_s=timeout_s).names:
        try:
            owners.append(session.get(f"{RECOVERY}/{name}", timeout_s=timeout_s).stat.ephemeral_owner)
        except NoNode:
            continue
    return owners
