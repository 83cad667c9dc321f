"""The eleven numbers which ZooKeeper tells of a node, taken from its record.

Two of them are not kept as they are shown.  cversion is made from the count of created children, which is
what sequence numbers come from.  ephemeralOwner is 0 for containers and for nodes with a time to live, which
is how real servers show it, although those keep a marker in its place.
"""
from __future__ import annotations

from agreed.store.records import Record
from agreed.store.tree import children_version
from agreed.wire.zookeeper.codec import pack_stat
from agreed.wire.zookeeper.reply_codec import STAT_REPLY_LENGTH, pack_stat_reply


def stat_of(record: Record, children: int) -> bytes:
    """The 68 bytes of the stat of `record` while it has that many `children`."""
    value = record.value
    return pack_stat(
        record.create_revision,
        record.modify_revision,
        record.created_ms,
        record.modified_ms,
        record.version,
        children_version(record, children),
        record.acl_version,
        record.lease,
        len(value) if value else 0,
        children,
        record.children_revision,
    )


def changed_reply(xid: int, zxid: int, record: Record, children: int) -> bytes:
    """`stat_reply` of `stat_of`, on the hot path of writes: one call and not four."""
    value = record.value
    return pack_stat_reply(
        STAT_REPLY_LENGTH,
        xid,
        zxid,
        0,
        record.create_revision,
        record.modify_revision,
        record.created_ms,
        record.modified_ms,
        record.version,
        children_version(record, children) if children or record.children_created else 0,
        record.acl_version,
        record.lease,
        len(value) if value else 0,
        children,
        record.children_revision,
    )


def current_stat_of(record: Record) -> bytes:
    """The same for a record that is the newest of its key, whose children are those of this moment."""
    children = record.children
    return stat_of(record, len(children) if children else 0)
