"""Tensors as every part sees them: what they are, where they come from and go to; no names of models."""
