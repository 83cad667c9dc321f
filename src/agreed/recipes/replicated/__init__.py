"""Objects of which every client has a copy, and whose commands go through one log.

    declaring.py    `@agreed.replicated`, `@agreed.command`, `@agreed.query`: what a class says about itself
    stamps.py       the time and the dice of a command
    schema.py       a class as what it says in bytes: its state, its commands, their versions
    state.py        the object between two commands, and what a command makes of it
    layout.py       what stands in the service
    snapshots.py    the state in parts, so that the log stays short
    replica.py      one copy: it asks, reads along, and stops where it differs
"""
