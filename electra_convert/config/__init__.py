"""What a model's weights do not say: hparams, configurations, and where each value came from; no tensors."""
