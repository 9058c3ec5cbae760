"""The model on a real clock, and the verdict."""
