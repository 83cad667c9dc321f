"""One node, whole, as a machine made of machines; still pure: no socket, no file, no clock, no dice.

    replica.py     step(event), take(): passes each thing on, from connection to store and back
    events.py      what may happen to a node, and what it asks of the outside
    requests.py    numbers and tickets: who waits for which command
    reads.py       when a linearizable read may be answered
    zookeeper.py   ZooKeeper connections: the order of replies, reads, writes, watches
    sessions.py    how a connection becomes a session, who it has proven to be, and how it ends
    proposals.py   what the leader puts into the log: batches, looked at before
    clients.py     one connection of a client: what it still waits for
    upkeep.py      when to expire a lease, sweep what is idle, take a checkpoint
    snapshots.py   the store in pieces, out and in, and the digests that nodes compare
    founding.py    who may speak to whom: the first meeting of the founders, wiped and cloned disks
    operators.py   `agreed status`, `agreed member`
    reconfiguration.py   the members as ZooKeeper sees them, and its reconfig

The simulator drives this very code; `node/` does, with real sockets and disks.
"""
