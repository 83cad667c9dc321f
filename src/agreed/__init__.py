"""Consensus and coordination for Python.

    types, errors      the ground
    clocks             time as values: what happened before what
    consensus          agree on one order (Raft)
    broadcast          telling everybody, in FIFO or causal order
    registers          one value on several nodes without consensus: what that costs
    store              what the order is applied to
    wire               what is said: ZooKeeper's protocol, and our own between nodes
    disk               what survives a crash
    replica            one whole node as a pure machine
    node               the real world around a replica: sockets, clock, disk, configuration
    cli                what an operator types
"""

__version__ = "0.1.0"
