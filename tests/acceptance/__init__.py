"""Whole servers, started as a user starts them, judged by clients which were not written for them."""
