"""The real world around a replica: sockets, disk, clock, configuration.  The only part of a server that
awaits.

    start.py      what a node does before its first step, and after its last
    turns.py      one loop: wait, step, take, do
    shell.py      what a server has beyond it: disk, peers, operators
    listen.py     sockets that are accepted: clients, peers, operators
    dial.py       sockets to peers: reconnect, back off
    writer.py     the thread that waits for the disk
    clock.py      the watches on the wall
    config.py     every knob, its unit, default and reason
    telemetry.py  the operator's log
"""
