"""HAProxy: its configuration written, and read."""
