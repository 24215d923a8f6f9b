"""What a head computes with, whatever computes it: the operations in which each head says how its class answers."""

from __future__ import annotations

from typing import Protocol, TypeVar

V = TypeVar("V")


class Computing(Protocol[V]):
    """A model whose encoder has been computed; its layers go by the names of their parameters in transformers."""

    def dense(self, layer: str, values: V) -> V:
        """A dense layer, over the last axis."""

    def normalise(self, layer: str, values: V) -> V:
        """A layer normalisation, over the last axis."""

    def activate(self, values: V) -> V:
        """The activation of the model's configuration (hidden_act)."""

    def gelu(self, values: V) -> V:
        """The exact one, whatever the configuration says."""

    def first(self, states: V) -> V:
        """The state of [CLS] alone: [batch, hidden] of [batch, length, hidden]."""

    def vocabulary(self, layer: str, states: V) -> V:
        """How likely each piece is, by the layer's table or where it has none the word embeddings, and its bias."""

    def columns(self, values: V, count: int) -> tuple[V, ...]:
        """The last axis, of so many columns, each for itself: [batch, length] of [batch, length, count]."""
