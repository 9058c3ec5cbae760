"""The log of every input to a balancer: written, read, played again."""
