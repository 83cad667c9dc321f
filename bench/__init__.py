"""Measurements of a three-node cluster of ours beside three nodes of Apache ZooKeeper, on one machine.

    python -m bench              throughput, latency, processor time and memory, case by case, with the bars
    python -m bench.protocols    the four protocols beside each other
    python -m bench.etcd         beside etcd, in its language
    python -m bench.locks        locks and elections of our client, beside kazoo, etcd and pysyncobj
    python -m bench.million      a million znodes: load, memory, restart, what a snapshot does to the tail
    python -m bench.profile      where the leader's time goes

    generator/     the load generator, in C, and the responder that measures its ceiling
    generator.py   builds and runs it
    processes.py   one server process: start, end, what it used
    systems.py     how a node of each system is configured and started
    four_letter.py asks a node whether it serves and whether it leads
    cluster.py     three nodes: until they serve, who leads, until they are gone
    lock_load.py   one process of the fleet that hands locks on, whichever library its clients are of
    lock_fleet.py  all of them: started, told when, heard
    lock_report.py what is promised of locks, and their tables
    machine.py     what the figures were taken on, and how much of it others used meanwhile
    compare.py     the cases, the rounds
    bars.py        what is promised, and whether it held
    report.py      tables for people, JSON for machines, the generated part of docs/benchmarks.md

What it promises: the two systems never run at the same time, both sync every write to disk before they
answer, both are driven by the same generator with the same requests, whatever is started is ended, and no run
is without a bound in time.  What it does not do: measure more than one machine.  On one machine the generator
and all nodes share the processors, so a ratio means something and an absolute figure means little.
"""
