"""A small Hugging Face Hub on loopback: a real HTTP server in its own process, with faults to order."""
