"""The durable side of a node: what must outlive the process, and how it comes back.

    files.py             the few file operations everything here is made of; where tests break the disk
    record.py            length, checksums, position, payload: a torn write is told from a rotten one
    payloads.py          what the records hold
    segments.py          the files of the log, and reading one of them to its honest end
    extent.py            which positions the log has, and of which term
    wal.py               the write-ahead log: ballots and entries, one write and one fdatasync a batch
    replay.py            reading a log back, without changing it
    snapshot_format.py   a snapshot as bytes
    snapshots.py         whole states, written aside, verified, sent and received in pieces
    identity.py          who this data directory is, how often it was started, and the lock on it
    recovery.py          from a directory to all that a node needs to go on, or a refusal that says why
    inspect.py           the same for human eyes, read-only

One rule holds in all of them: what was reported as durable is found again or its loss is reported; nothing
is ever silently dropped, and nothing that was not reported as durable is ever half there.

No call here starts a thread or waits for anything but the disk.  A `Wal` belongs to one thread at a time, and
so do a `Snapshots` and what it hands out; the two may be different threads.
"""
