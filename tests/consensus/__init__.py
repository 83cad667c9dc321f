"""Tests of `agreed.consensus`."""
