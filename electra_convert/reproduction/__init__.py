"""A conversion repeated from what its record says, and its files held against it; knows no command line."""
