"""The synthetic corpus of atoll-demo. `mixture.stream(seed, n)` is the way in."""
