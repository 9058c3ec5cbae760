"""Messages: framing, fields, rules."""
