"""Commands that are killed, or given an error, at any of the system calls by which they write."""
