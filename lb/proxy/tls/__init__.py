"""TLS: certificates and keys as the file names them, and what is spoken with them."""
