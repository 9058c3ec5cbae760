"""`lb demo`: the whole loop on one machine, nothing to configure."""


def demo() -> None:
    """Backends, proxy, load; then the prediction beside the measurement."""
    raise SystemExit("demo")
