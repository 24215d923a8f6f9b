"""ELECTRA's training itself: batches, both networks and their losses, optimiser and loop; writes no files."""
