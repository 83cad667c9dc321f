"""What is done to a cluster while its clients work: each fault has a beginning and an end.

    fault.py         what a fault is, and what it may look at and touch
    processes.py     kill, pause, rolling-restart
    connections.py   partition, oneway, delay, loss
    machines.py      clock, disk-full, disk-failing, disk-slow  (with shim.py)
    members.py       membership, transfer
    nemesis.py       draws them from a seed, plays them alone and together, and heals everything at the end
"""
