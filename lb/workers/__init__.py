"""The process of `lb serve`: what it owns, how it is changed, and how it hands over."""
