"""A whole cluster in one thread: the shipped nodes and real client bytes, in a world drawn from one seed.

    from agreed.sim.run import run
    outcome = run(seed=4711, profile="disk")
    outcome.failure      None, or in a few words what broke; `outcome.message` tells it in a sentence
    outcome.trace_hash   SHA-256 of every event in order: the same on every machine

    plan.py       what will be done to the cluster and asked of it, written down; draw.py draws it from a seed
    streams.py    randomness by name: removing one fault shifts no other
    world.py      virtual time, one queue
    trace.py      every event: counted, hashed, and told where somebody wants to read it (story.py)
    network.py    connections between nodes, cut, clogged, and worse;  peers.py  what nodes do with them
    disk.py       a disk in memory that loses, tears, rots and fails;  storage.py  the two threads at it
    clock.py      the two clocks of a node, which drift, jump and strobe
    node.py       a real node without its event loop;  parts.py  what it is made of
    clients.py    what every client does, byte for byte;  task.py  one thing that it is after
    zookeeper_clients.py, workload.py   those of ZooKeeper, and what they are after
    etcd_clients.py, etcd_workload.py   those of etcd
    faults.py     what is done to the cluster, within a budget;  operators.py  who keeps it running
    judge.py      what must hold at every step, with truth.py, sessions.py and durability.py
    raft_judge.py, machine_judge.py     the same of Raft, and of the other protocols
    verdicts.py   the histories of clients, for the judge of histories
    marks.py      situations that a campaign should get into
    run.py        a safety phase, a liveness phase, and the outcome

Nothing of a node is replaced but its sockets, files and clocks.  Nothing here waits, sleeps or asks the time.
"""
