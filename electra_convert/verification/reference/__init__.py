"""Google's graph in TensorFlow, in a process of its own; it shares nothing with the conversion."""
