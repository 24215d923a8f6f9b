"""Model cards: README.md with front matter and sections, written from what a model folder holds."""
