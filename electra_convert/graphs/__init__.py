"""ELECTRA as graphs of ONNX' operators: what is computed, and with which weights; writes nothing."""
