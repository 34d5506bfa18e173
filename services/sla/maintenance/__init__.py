"""Announced time that does not count: which windows there are, when they happen, which of it counts."""
