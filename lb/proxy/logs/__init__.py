"""What the proxy writes down."""
