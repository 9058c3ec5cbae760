"""nginx: its configuration written, and read."""
