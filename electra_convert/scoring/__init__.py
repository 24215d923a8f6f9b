"""Files of any length scored row by row, in constant memory: rows, what a model says of them, and where it is written."""
