"""Locks and the like, on any coordination service: each is written once, against `agreed.backends.contract`.

    errors.py       what can go wrong with what one holds
    grant.py        what one holds: its fencing token, and how one learns that it is lost
    holding.py      a body that runs only with its grant, and is cancelled without
    sessions.py     the sessions of one client, and what is still to be cleaned away
    waiting.py      standing in line
    caller.py       who is asking
    entering.py     `async with`, for whatever is obtained
    obtaining.py    what is obtained that way, and who has it
    following.py    the newest state, then each newer one
    lock.py         lock, read-write lock
    semaphore.py    so many at a time
    election.py     one leader, and who that is
    codec.py        typed values as bytes
    certain.py      a commit that is known to be done or not, also where its answer is lost
    kv.py           keys and values
    transactions.py several keys at once, as if nobody else were there
    queue.py        jobs, each done by one
    segments.py     numbered entries, a few dozen to a directory
    log.py          everything in one order, to be read from anywhere
    multilock.py    several locks, all or none
    changing.py     a key changed as a function of itself, and what has become of a change without an answer
    counter.py      a number that each addition changes once
    ids.py          numbers that are given once
    event.py        something has happened
    latch.py        so many things have happened
    cell.py         a typed value with a version
    config.py       a typed value that is followed, its newest state at hand
    rate_limiter.py so many in so much time
    group.py        who is there
    assignment.py   who does which part of the work
    registry.py     where a service can be reached
    barrier.py      all go on together, once all have come

All of it is asynchronous.  Nothing here knows a protocol.
"""
