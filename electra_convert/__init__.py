"""Convert ELECTRA checkpoints between TensorFlow, PyTorch and safetensors; the public API, names only."""
