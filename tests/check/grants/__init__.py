"""Mirrors `agreed.check.grants`."""
