"""To agree on one order of opaque payloads: pure machines, one of which is chosen at start.

`machine.py` is the shape they all have, as a driver sees it; `protocol_machine.py`, `logged_machine.py` and
`role.py` are what they do in the same way: hear events, keep promises, know the time, save a log.  `log.py`,
`quorum.py`, `members.py` and `promises.py` are what that stands on; `progress.py`, `thrift.py`, `sending.py`,
`transfer.py` and `reads.py` are the parts of whoever leads.  Each protocol has a package of its own (`raft/`,
`multipaxos/`, `vr/`, `zab/`) with its messages, its roles and its rules; `protocols.py` makes the one that is
named.  Nothing here knows what a payload means, reads a clock, rolls dice or touches a socket or a file.
"""
