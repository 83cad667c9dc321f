"""Mirrors `agreed.torture.users`."""
