"""Any generator and any discriminator made to answer the objective's two questions; holds no parameters of its own.

A masked language model of transformers is taken apart into its encoder, what comes before the projection to the
vocabulary, and that projection, so that only masked places go through the last two. Any other module is run whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, NamedTuple

import torch
from torch import nn

from electra_convert.errors import UsageError
from electra_convert.frameworks import import_transformers

_MASKED_LM = "ForMaskedLM"
_TOLERANCE = 1e-4


class MaskedLm:
    """A generator that is asked about chosen places alone.

    Args:
        module: takes [batch, length] ids, and gives [batch, length, vocabulary] logits, bare or in a transformers
            output.

    Attributes:
        projection: the last layer, from rows to logits; None where the module gives logits alone.
    """

    def __init__(self, module: nn.Module) -> None:
        parts = _take_apart(module) or Parts(module, None, None)
        self._body, self._head, self.projection = parts

    def rows(self, ids: torch.Tensor, positions: torch.Tensor, inputs: Mapping[str, Any]) -> torch.Tensor:
        """What is projected to the vocabulary: [batch * predictions, width]; the logits where there is no projection.

        Args:
            ids: [batch, length], the masked sequences.
            positions: [batch, predictions], the chosen columns.
            inputs: what else the module is given.
        """
        outputs = _first(self._body(ids, **inputs))
        if outputs.ndim != 3 or outputs.shape[:2] != ids.shape:
            raise UsageError(
                f"the generator gives {list(outputs.shape)} for ids of {list(ids.shape)}, expected logits over the "
                "vocabulary for every token"
            )
        firsts = torch.arange(len(ids), device=ids.device).unsqueeze(1) * ids.shape[1]
        chosen = outputs.flatten(0, 1).index_select(0, (positions + firsts).flatten())
        return chosen if self._head is None else _first(self._head(inputs_embeds=chosen.unsqueeze(0))).squeeze(0)

    @property
    def is_projected(self) -> bool:
        """Whether the projection is a product with a matrix, seen by nobody, that may be computed in other ways."""
        last = self.projection
        return type(last) is nn.Linear and not (last._forward_hooks or last._forward_pre_hooks)

    def project(self, rows: torch.Tensor) -> torch.Tensor:
        """The logits of what rows gives: [rows, vocabulary]."""
        logits: torch.Tensor = rows if self.projection is None else self.projection(rows)
        return logits


class Detector:
    """A discriminator, whatever it wraps its logits in.

    Args:
        module: takes [batch, length] ids, and gives a logit for each, bare or in a transformers output.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __call__(self, ids: torch.Tensor, inputs: Mapping[str, Any]) -> torch.Tensor:
        """How much each of [batch, length] tokens looks replaced: float32 of that shape, positive where it does."""
        logits = _first(self._module(ids, **inputs))
        if logits.numel() != ids.numel():
            raise UsageError(
                f"the discriminator gives {list(logits.shape)} for ids of {list(ids.shape)}, expected one logit for "
                "every token",
                "Give the width of its hidden states as discr_dim, and one logit is made of each.",
            )
        return logits.reshape(ids.shape).float()


class Hidden(nn.Module):
    """The output of one layer of a module.

    Args:
        net: the module.
        layer: the name of a layer, or the number of a child; -1 for the module's own output.
    """

    def __init__(self, net: nn.Module, layer: str | int) -> None:
        super().__init__()
        self.net = net
        self._layer = layer
        _find_layer(net, layer)

    def forward(self, ids: torch.Tensor, **inputs: Any) -> torch.Tensor:  # noqa: ANN401 - whatever the module takes
        """Run the module: [batch, length, width]."""
        layer = _find_layer(self.net, self._layer)
        if layer is self.net:
            return _first(self.net(ids, **inputs))
        seen: list[Any] = []
        handle = layer.register_forward_hook(lambda _module, _arguments, output: seen.append(output))
        try:
            self.net(ids, **inputs)
        finally:
            handle.remove()
        if not seen:
            raise UsageError(f"the discriminator never runs its layer {self._layer!r}")
        return _first(seen[-1])


class TokenHead(nn.ModuleList):
    """Hidden states, and one logit made of each.

    Args:
        hidden: gives the hidden states.
        width: theirs.
    """

    def __init__(self, hidden: Hidden, width: int) -> None:
        super().__init__([hidden, nn.Linear(width, 1)])

    def forward(self, ids: torch.Tensor, **inputs: Any) -> torch.Tensor:  # noqa: ANN401 - as above
        """Logits: [batch, length, 1]."""
        hidden, dense = self
        logits: torch.Tensor = dense(hidden(ids, **inputs))
        return logits


def _find_layer(net: nn.Module, layer: str | int) -> nn.Module:
    if layer == -1:
        return net
    named, children = dict(net.named_modules()), list(net.children())
    try:
        return named[layer] if isinstance(layer, str) else children[layer]
    except (KeyError, IndexError) as error:
        near = ", ".join(name for name, _ in net.named_children())
        raise UsageError(f"the discriminator has no layer {layer!r}; its children are {near}") from error


def _first(outputs: Any) -> torch.Tensor:  # noqa: ANN401 - whatever a module gives
    """The tensor that a module gives, or the first of several: a transformers output begins with its own."""
    values: torch.Tensor = outputs if isinstance(outputs, torch.Tensor) else outputs[0]
    return values


class Parts(NamedTuple):
    """A masked language model taken apart.

    Attributes:
        body: from ids to hidden states, or to logits where there is nothing else.
        head: from hidden states, as inputs_embeds, to what is projected, or to logits.
        projection: from there to logits.
    """

    body: nn.Module
    head: nn.Module | None
    projection: nn.Linear | None


def _take_apart(module: Any) -> Parts | None:  # noqa: ANN401 - a transformers model
    """The parts of a masked language model of transformers; None to run the module whole.

    Its head is the model itself around an encoder that hands on what it is given, so that no architecture has to be
    known. Whether that computes the same, token by token, is tried. Whoever hooks a module is shown all of it.
    """
    is_one = any(base.__name__.endswith(_MASKED_LM) for base in type(module).__mro__)
    encoder = getattr(module, getattr(module, "base_model_prefix", ""), None) if is_one else None
    if not isinstance(encoder, nn.Module) or module._forward_hooks or module._forward_pre_hooks:
        return None
    last, handing_on = module.get_output_embeddings(), _HandsOn(encoder)
    head = _with(module, {encoder: handing_on})
    before = _with(module, {encoder: handing_on, last: nn.Identity()})
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        return _tried(encoder, head, before, last, module.config.hidden_size)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError):
        return None
    finally:
        for part, mode in modes.items():
            part.training = mode


def _tried(
    encoder: nn.Module, head: nn.Module, before: nn.Module, last: nn.Module | None, width: int
) -> Parts | None:
    like = next(encoder.parameters(), torch.empty(0))
    rows = torch.linspace(-1, 1, 2 * width, device=like.device, dtype=like.dtype).view(1, 2, width)
    with torch.no_grad():
        logits = _first(head(inputs_embeds=rows))
        if not torch.allclose(_first(head(inputs_embeds=rows[:, 1:])), logits[:, 1:], atol=_TOLERANCE):
            return None
        if isinstance(last, nn.Linear) and last.out_features == logits.shape[-1]:
            projected = last(_first(before(inputs_embeds=rows)))
            if torch.allclose(projected, logits, atol=_TOLERANCE):
                return Parts(encoder, before, last)
    return Parts(encoder, head, None)


def _with(module: nn.Module, others: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """A copy of a module with others in place of some that it is made of; it shares all the rest, parameters too."""
    if module in others:
        return others[module]
    children = {name: child and _with(child, others) for name, child in module._modules.items()}
    if all(children[name] is child for name, child in module._modules.items()):
        return module
    twin = copy(module)
    twin.__dict__["_modules"] = children
    return twin


class _HandsOn(nn.Module):
    """Stands in an encoder's place, with all that it is made of, and gives the hidden states that it is given."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self._modules.update(encoder._modules)
        self._outputs = import_transformers("to take a generator apart").modeling_outputs.BaseModelOutput

    def forward(self, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - as the encoder
        tensors = [one for one in (*given, *named.values()) if isinstance(one, torch.Tensor)]
        return self._outputs(tensors[0])
