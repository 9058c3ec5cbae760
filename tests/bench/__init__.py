"""Benchmarks: they measure and print, they do not judge. `make bench` runs all of them."""
