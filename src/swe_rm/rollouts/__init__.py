"""Attempts that a trainer of language models makes itself: mini-swe-agent a turn at a time, and then the tests."""
