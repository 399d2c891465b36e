"""Benchmarks that people can run: quality, speed, memory and size, ours beside what else is in use."""
