"""The pieces of verify: weights, settings and forward passes of two checkpoints held side by side."""
