"""Files of any length scored row by row: the rows, what a model says of them, and where that is written."""
