"""The live driver: HTTP/1.1 in, HTTP/1.1 out, every decision taken by the balancer."""
