"""What a run starts from: a checkpoint, or two, and what of the run's models these do not have."""
