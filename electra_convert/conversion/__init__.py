"""What is to be written, in full, before a byte is: one module for each scheme; moves no tensor."""
