"""Raft: a leader orders, a quorum saves, and what both did is agreed (Ongaro and Ousterhout 2014).

`raft.py` says who is asked what and which term rules; begin there.  `state.py` is what the roles share,
`follower.py`, `candidate.py` and `leader.py` are the roles; `progress.py`, `reads.py` and `changes.py` are
parts of a leader, `snapshots.py` receives a snapshot.  `messages.py` is what nodes say to each other,
`config.py` the knobs, `invariants.py` what must always be true.
"""
