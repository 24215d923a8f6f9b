"""The interactive page and the server behind it, on this machine alone."""
