"""How a tensor is turned from one scheme's orientation to another's; the table of names needs no more of tensors."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Op(Enum):
    """A rearrangement with an inverse, which brings a tensor from one scheme's orientation to another's.

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

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """The array after the op, C-contiguous."""
        return values.T.copy() if self is Op.TRANSPOSE else values
