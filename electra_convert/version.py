"""The version of the tool; nothing else."""

__version__ = "0.1.0"
