"""Multi-Paxos: one Paxos for each slot of a log, and phase 1 once for all of them (Lamport 1998, 2001).

`multipaxos.py` says who is asked what and which ballot rules; begin there.  `ballots.py` numbers ballots,
`slots.py` is what an acceptor has accepted and how it lies on disk, `state.py` what all roles share.
`follower.py` (acceptor and learner), `candidate.py` (phase 1) and `leader.py` (phase 2) are the roles;
`progress.py` and `reads.py` are parts of a leader, `snapshots.py` receives a snapshot.  `messages.py` is what
nodes say to each other, `config.py` the knobs, `invariants.py` what must always be true.  Members are fixed:
who wants to change them takes Raft.
"""
