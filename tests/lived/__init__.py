"""Whole live systems in virtual time, beside the simulator; see world.py."""
