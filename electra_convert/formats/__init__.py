"""Containers: how tensors lie in files, one module or package each; nothing about what the tensors mean."""
