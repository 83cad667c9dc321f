"""Viewstamped Replication Revisited (Liskov and Cowling 2012): a primary numbers, a quorum vouches for it.

`viewstamped.py` says who is asked what, and which view rules; begin there.  `state.py` is what the roles
share; `backup.py`, `primary.py`, `changing.py` and `recovering.py` are the roles.  `wishes.py` counts who
wants another view; `progress.py` and `reads.py` are parts of a primary, `snapshots.py` receives a snapshot.
`messages.py` is what replicas say to each other, `config.py` the knobs, `invariants.py` what must
always be true.
"""
