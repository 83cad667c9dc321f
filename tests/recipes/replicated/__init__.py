"""Replicated objects."""
