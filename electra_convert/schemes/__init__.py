"""What tensors are called in google-research/electra and in transformers; nothing about files."""
