"""The folder of a run and what is left in it: run.json, checkpoints, models, metrics."""
