"""Private computers: what the rest sees of one (`Machine`), and one module per kind."""
