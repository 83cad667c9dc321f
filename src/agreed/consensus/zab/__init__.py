"""ZAB, the atomic broadcast of ZooKeeper: a primary orders, and recovers before it orders (Zab-1.0).

After Junqueira, Reed and Serafini (2011) and the protocol as ZooKeeper speaks it.  Four phases: leader
election (`looking.py`), then discovery, synchronization and broadcast, of which each has a leader's side
(`leading.py`) and a follower's (`following.py`).

`zab.py` says which epoch rules and who is asked what; begin there.  `state.py` is what the roles share,
`synchronization.py` decides between DIFF, TRUNC and SNAP, `learner.py` is what a leader knows of one
follower, `broadcast.py` what it says to it; `reads.py`, `transfer.py` and `snapshots.py` are parts
of the roles.  `messages.py` is what nodes say to each other, `config.py` the knobs, `invariants.py`
what must always be true.
"""
