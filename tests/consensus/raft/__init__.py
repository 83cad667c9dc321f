"""Tests of Raft: rules of the paper, golden stories, and a random world."""
