"""What a user holds: a client by its URL, with every recipe by its name.

    schemes.py      which backend a URL means
    client.py       the client, and `connect`
"""
