"""Benchmarks: `make bench` runs every module `bench_*.py` here that has `run() -> list[Row]`."""
