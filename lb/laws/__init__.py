"""What every algorithm is held to."""
