"""Asking backends how they are."""
