"""A named log in a cluster: every subscriber gets the same messages in the same order, without a gap.

    with agreed.client.connect("agreed://127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183") as session:
        log = agreed.broadcast.open_log(session, "/orders", Settings(retain_messages=100_000))
        with log.publisher("till-3") as publisher:
            publisher.publish(b"two coffees")
        for message in log.subscribe(consumer="kitchen"):
            print(message.offset, message.payload)

    layout.py           how a log lies in the store, and why so
    publisher.py        each message once, in the order in which it was given
    subscription.py     from an offset on, without a gap
    upkeep.py           packing and dropping
    aio.py sync.py      the two faces
    errors.py           Gap, Fenced, PublisherStopped, OffsetUnknown, LogChanged

This is total order broadcast for users.  That it is the same problem as consensus is shown in few lines by
the pure machines of `agreed.ordering.total`, in both directions: broadcast from a consensus log, and
consensus from broadcast.  What stands here goes the first way: the log of consensus is the cluster's, and a
message is delivered by everybody at the offset that the cluster gave it.
"""
from __future__ import annotations

from agreed.broadcast.aio import EARLIEST, LATEST
from agreed.broadcast.errors import BroadcastError, Fenced, Gap, LogChanged, OffsetUnknown, PublisherStopped
from agreed.broadcast.layout import Message, Settings
from agreed.broadcast.sync import Log, Publisher, Subscription, open_log

__all__ = [
    "EARLIEST",
    "LATEST",
    "BroadcastError",
    "Fenced",
    "Gap",
    "Log",
    "LogChanged",
    "Message",
    "OffsetUnknown",
    "Publisher",
    "PublisherStopped",
    "Settings",
    "Subscription",
    "open_log",
]
