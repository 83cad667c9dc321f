"""What an operator types: `agreed serve`, `dev`, `status`, `member`, `transfer-leader`, `disk`, `version`.

`main.py` is the table of the commands, each of which has a file of its own and is imported when it is typed.
`operator.py` talks to nodes, `playground.py` runs a few of them as processes of this machine.
"""
