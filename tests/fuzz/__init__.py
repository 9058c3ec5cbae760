"""Heads made at random, and what the scanners make of them."""
