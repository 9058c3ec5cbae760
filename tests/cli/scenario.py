"""A scenario that simulates in no time."""

TEXT = """\
algorithm = "least_connections"
[traffic]
arrivals = { process = "poisson", rate = 80 }
[run]
requests = 500
replications = 2
seed = 5
[[backend]]
name = "one"
address = "127.0.0.1:3001"
[backend.model]
service = { law = "exponential", mean = "20ms" }
[[backend]]
name = "two"
address = "127.0.0.1:3002"
[backend.model]
service = { law = "exponential", mean = "20ms" }
"""
