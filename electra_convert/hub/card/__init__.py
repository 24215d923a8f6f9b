"""Model cards: README.md with front matter and sections, written from what a model folder holds."""

from electra_convert.hub.card.writing import Card, write_card

__all__ = ["Card", "write_card"]
