"""To agree on one order of opaque payloads: pure machines, one of which is chosen at start.

`machine.py` is the shape they all have; `log.py`, `quorum.py`, `members.py` and `promises.py` are what
they share; each protocol has a package of its own (`raft/`).  Nothing here knows what a payload means,
reads a clock, rolls dice or touches a socket or a file.
"""
