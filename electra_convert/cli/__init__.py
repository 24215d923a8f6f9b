"""The command line: click commands, and the only place that prints; no conversion logic."""
