"""What others run periodically, in the background or against a database, on one node at a time.

    celery          a beat of which several stand by and one sends
    apscheduler     schedulers of which one runs the jobs
    asgi            background work of a web application, in one of its workers
    django          management commands that run on one machine
    sqlalchemy      a fence: an older token than was seen is refused, in the transaction of the write
    tooz            a driver for programs that speak to tooz

Each module imports its framework, and says which extra is missing where that is not installed; this package
alone imports none of them.  What they share stands in `candidacy.py` (stand for election again and again),
`leadership.py` (the same for threads) and `last_runs.py` (what a schedule has done already).
"""
