"""Log collectors of our own, each on the machine of an engine: what a log driver sends there is kept, line by line."""
