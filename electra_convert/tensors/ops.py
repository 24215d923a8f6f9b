"""How a tensor's elements are rearranged between the two schemes; moves no bytes itself."""

from __future__ import annotations

from enum import Enum


class Op(Enum):
    """A rearrangement with an inverse.

    TensorFlow's dense layers hold a kernel as [in, out] (tf.layers.dense), torch.nn.Linear a weight as [out, in].
    """

    KEEP = "keep"
    TRANSPOSE = "transpose"

    @property
    def inverse(self) -> Op:
        """The op that undoes this one."""
        return self

    def then(self, other: Op) -> Op:
        """The op that does this one and the other after it."""
        return Op.KEEP if self is other else Op.TRANSPOSE

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a tensor of the given shape after the op."""
        return shape[::-1] if self is Op.TRANSPOSE else shape
