"""What a person gets."""
