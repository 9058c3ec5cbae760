"""`lb verify`."""
