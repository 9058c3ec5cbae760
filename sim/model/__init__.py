"""What is simulated: laws, arrivals, stations."""
