"""A balancer operated under load: what is lost by reloads, restarts, faults and discovery."""
