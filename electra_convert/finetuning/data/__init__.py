"""Labelled data as people have it, read into examples; each fault is told by file and line."""
