"""A naming scheme and a head of no use: what it takes to add one, kept as small as that is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from electra_convert.demo.network import Network, Values
from electra_convert.demo.running import Runner
from electra_convert.demo.tasks import Asked, Task
from electra_convert.demo.tasks.regression import Number
from electra_convert.demo.tasks.sequence_classification import PAIR, TEXT, run_texts
from electra_convert.formats.locate import Location
from electra_convert.schemes.heads import Head
from electra_convert.schemes.heads.computing import Computing, V
from electra_convert.schemes.mapping import stacked
from electra_convert.schemes.models import Checkpoint, OpenSource, Scheme
from electra_convert.schemes.transformers import read_models
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import Tensor
from electra_convert.tensors.weight import Weight


def _answer(model: Computing[V], states: V) -> tuple[V, ...]:
    return (model.dense("toys", model.first(states)),)


# Two dense layers over the same hidden states in Google's code, one of two labels in transformers.
TOY_HEAD = Head(
    "toy",
    "discriminator",
    "ForToys",
    rules=stacked(("task_specific/{task}/first", "task_specific/{task}/second"), "toys", "hidden", "one"),
    kind="toy-comparison",
    tag="toy-comparison",
    has_pipeline=False,
    compute=_answer,
)


def _compute(network: Network, hidden: Values) -> Values:
    return network.dense("toys", hidden[:, 0])


def _compare(runner: Runner, asked: Sequence[Asked]) -> list[Number]:
    """By how much the first layer says more than the second."""
    outputs = zip(asked, run_texts(runner, asked), strict=True)
    return [Number(one.text, one.other, float(logits[0] - logits[1]), unread) for one, (logits, unread) in outputs]


# What the demo asks it: a text, or two; shown as a number is.
TOY_TASK = Task(
    head=TOY_HEAD,
    compute=_compute,
    fine_tuned="fine-tuned to compare its layers",
    takes="a text, and another one (--pair)",
    page=Number.page,
    field=TEXT,
    other=PAIR,
    ask=_compare,
)


def toy_answers(graph: Any, scope: str, hidden: Any) -> dict[str, Any]:
    """What the toy head computes in the reference model: as in Google's code, a layer after the other."""
    parts = [graph.dense(f"{scope}/{layer}", hidden[:, 0]) for layer in ("first", "second")]
    return {"logits": graph.tensorflow.concat(parts, -1)}


def toy_class() -> type:
    """The class that transformers would have for it."""
    import torch
    from transformers import ElectraModel, ElectraPreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput

    class ElectraForToys(ElectraPreTrainedModel):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.electra = ElectraModel(config)
            self.toys = torch.nn.Linear(config.hidden_size, 2)
            self.post_init()

        def forward(self, input_ids: Any, **given: Any) -> SequenceClassifierOutput:
            encoded = self.electra(input_ids, **given)
            logits = self.toys(encoded.last_hidden_state[:, 0])
            return SequenceClassifierOutput(logits=logits, hidden_states=encoded.hidden_states)

    return ElectraForToys


# Names of transformers after a word, matrices the other way round.
TOY_PREFIX = "toy:"


def _recognises(names: Collection[str]) -> bool:
    return all(name.startswith(TOY_PREFIX) for name in names)


def _translate(tensors: Mapping[str, Tensor]) -> dict[str, Weight]:
    return {
        name.removeprefix(TOY_PREFIX): Weight(tensor, Op.TRANSPOSE if len(tensor.shape) == 2 else Op.KEEP)
        for name, tensor in tensors.items()
    }


def _read(path: Path, locations: Sequence[Location], open_source: OpenSource) -> Checkpoint:
    return read_models(TOY_SCHEME, path, locations, open_source, _translate)


TOY_SCHEME = Scheme("toy", {"safetensors"}, _recognises, _read, described=True, target="safetensors", loads="nothing")
