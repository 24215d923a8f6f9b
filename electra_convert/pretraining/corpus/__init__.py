"""From text, or Google's TFRecords, to sequences in memory-mapped files; needs no PyTorch."""
