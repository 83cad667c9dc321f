"""What users of locks, semaphores, elections and queues were granted, believed and did: was that right?

    records.py   tenures (what was granted to whom, and until when it was certain), accesses, looks, jobs
    tokens.py    fencing tokens grow, and what a fence lets through never goes back to an older holder
    certainty.py never more holders who are certain than there may be; a certain one is never refused
    jobs.py      each job is done, and is not handed out once it was acknowledged
    judge.py     all of that

All moments are nanoseconds of one monotonic clock that everybody shares.  Nothing here asks how the service
works: it is judged by what its users saw.
"""

from __future__ import annotations

from agreed.check.grants.certainty import certain_holders
from agreed.check.grants.jobs import jobs_done
from agreed.check.grants.judge import grants, together
from agreed.check.grants.records import (
    Access,
    Acknowledgement,
    Effect,
    Look,
    Put,
    Tenure,
    Terms,
    Told,
)
from agreed.check.grants.tokens import fenced, leaders_seen

__all__ = [
    "Access",
    "Acknowledgement",
    "Effect",
    "Look",
    "Put",
    "Tenure",
    "Terms",
    "Told",
    "certain_holders",
    "fenced",
    "grants",
    "jobs_done",
    "leaders_seen",
    "together",
]
