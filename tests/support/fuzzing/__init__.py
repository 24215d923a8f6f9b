"""A fuzzer that knows how files are made: what it changes lies behind right checksums, lengths and brackets."""
