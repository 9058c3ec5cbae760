"""Envoy: its configuration written."""
