"""One node, whole, as a machine made of machines; still pure: no socket, no file, no clock, no dice.

    replica.py     step(event), take(): passes each thing on, from connection to store and back
    events.py      what may happen to a node, and what it asks of the outside
    requests.py    numbers and tickets: who waits for which command
    reads.py       when a linearizable read may be answered
    zookeeper.py   what a ZooKeeper client is to this node: handshake, order of replies, watches
    clients.py     one connection of a client: what it still waits for
    upkeep.py      when to expire a lease, sweep what is idle, take a checkpoint
    snapshots.py   the store in pieces, out and in, and the digests that nodes compare
    founding.py    who may speak to whom: the first meeting of the founders, wiped and cloned disks
    operators.py   `agreed status`, `agreed member`, and ZooKeeper's reconfig

The simulator drives this very code; `node/` does, with real sockets and disks.
"""
