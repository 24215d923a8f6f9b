"""Many models at once, of an account on the Hub or of a folder: looked at, planned for, and carried out."""
