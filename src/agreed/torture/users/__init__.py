"""Torture of recipes: whoever uses locks, semaphores, elections and queues is killed and stopped, and so is
what serves them; then the users' own records are judged.

    user process    all recipes at once, by the public client: `agreed.connect(url)` on threads, or
                    `agreed.aio.connect(url)` in tasks (synchronous.py, asynchronous.py, program.py)
      diary.py      what it was granted, what it believed and when, in a file that outlives it
      resource.py   what it works on: outside of the service, and it looks at tokens

    run             grounds.py     where it takes place: a cluster with its faults, a directory, a memory
                    seats.py       the user processes, and what is done to them
                    run.py         from the first start to the last look
                    judging.py     the diaries, by `agreed.check.grants`

A fault hits a process, and so a user of every recipe at once; that is why they share processes.
"""
