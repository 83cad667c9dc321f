"""A session with a cluster, for programs: what requests surely did, surely did not, or may have done.

    with agreed.client.connect("agreed://127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183/app") as session:
        session.create("/jobs", b"")
        session.set("/jobs", b"new", version=0)

`connect` is the synchronous face; `agreed.client.aio.connect` the asynchronous one, and the two have the
same methods.  The protocol is ZooKeeper's, so both also talk to a ZooKeeper.

    errors.py       what went wrong, and whether the thing may have been done all the same
    values.py       what is asked and answered
    url.py          where the cluster is
    machine.py      the session, pure: bytes and wishes in, bytes and answers out
    certainty.py    for how long it surely lives
    requests.py     what waits for a connection, and what waits for its answer
    watches.py      who wants to hear of which change, over all connections of the session
    connection.py   one socket; also under the client with which `agreed.torture` breaks clusters
    watching.py     a watch that stays, as a stream
    driver.py       carries out what the machine wants: a socket, a timer, futures
    aio.py          the asynchronous session
    sync.py         the synchronous session: the same one, on the thread of loop_thread.py

What a lost connection means here: another server is found and the session goes on.  Requests that were never
sent wait for it until their time is over.  Reads that were sent are sent again.  Writes that were sent and
not answered fail with `ConnectionLost`, whose `maybe` is True: nobody repeats them but you, because only you
know how to find out whether they were done.
"""

from __future__ import annotations

from agreed.client.sync import Session, connect
from agreed.client.values import (
    OPEN_ACL,
    Change,
    Check,
    Children,
    Create,
    Created,
    Delete,
    SessionState,
    SetData,
    Stat,
    WatchEvent,
    WatchKind,
    Znode,
)

__all__ = [
    "OPEN_ACL",
    "Change",
    "Check",
    "Children",
    "Create",
    "Created",
    "Delete",
    "Session",
    "SessionState",
    "SetData",
    "Stat",
    "WatchEvent",
    "WatchKind",
    "Znode",
    "connect",
]
