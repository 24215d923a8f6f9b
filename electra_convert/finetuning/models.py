"""The model that is trained: transformers' class for the task, its new head, and what is written of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from electra_convert.conversion.convert import run_conversion
from electra_convert.conversion.options import Options
from electra_convert.errors import NamesError, SourceError, listing
from electra_convert.finetuning.starting import Start
from electra_convert.finetuning.tasks.task import Task
from electra_convert.formats.names import CONVERSION_FILE, TOKENIZER_FILE
from electra_convert.frameworks import import_torch, import_transformers, quiet_transformers
from electra_convert.output import write_file
from electra_convert.schemes.heads.sequence_classification import Pairs
from electra_convert.schemes.layouts import collapse
from electra_convert.tensors.spec import DTYPES, Tensor, stream_bytes
from electra_convert.tensors.weight import Weight

# finetune/classification/classification_tasks.py of google-research/electra: keep_prob 0.9, whatever the model's.
_GOOGLE_DROPOUT = 0.1


def load(start: Start, task: Task[Any], seed: int, google_head: bool) -> Any:  # noqa: ANN401 - a transformers model
    """Load a model into transformers' class for a task, what its new head begins with drawn from a seed.

    Raises:
        SourceError: transformers has no such class for the architecture, or cannot load it.
        NamesError: a weight of the encoder is missing; or, of a masked language model, any.
    """
    transformers = import_transformers("to fine-tune")
    auto = getattr(transformers, task.auto_class)
    settings: dict[str, Any] = dict(task.config)
    if google_head and task.name == "token-classification":
        settings["classifier_dropout"] = 0.0
    transformers.set_seed(seed)
    with quiet_transformers(transformers):
        try:
            model, info = auto.from_pretrained(
                start.folder,
                dtype=import_torch("to fine-tune").float32,
                output_loading_info=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                **settings,
            )
        except Exception as error:
            raise _not_loaded(start, task, error) from error
    _require_encoder(start, task, model, info)
    if google_head and task.name == "text-classification":
        model.classifier = _google_head(model.config)
    return model


def _not_loaded(start: Start, task: Task[Any], error: Exception) -> SourceError:
    reason = " ".join(str(error).split())
    if "Unrecognized configuration class" in reason:
        return SourceError(
            f"{start.base['name']} is a {start.config.get('model_type')} model, of which transformers has no class "
            f"for {task.name}",
            "Give a model of another architecture, or another task.",
        )
    return SourceError(f"{start.base['name']}: transformers cannot load it: {reason[:300]}")


def _require_encoder(start: Start, task: Task[Any], model: Any, info: Mapping[str, Any]) -> None:  # noqa: ANN401
    absent = [*info["missing_keys"], *(one[0] for one in info["mismatched_keys"])]
    prefix = f"{model.base_model_prefix}."
    needed = [name for name in absent if task.name == "fill-mask" or name.startswith(prefix)]
    needed = [name for name in needed if ".pooler." not in name]
    if needed or info["error_msgs"]:
        raise NamesError(
            f"{start.base['name']} lacks weights of {type(model).__name__}: "
            f"{listing(collapse(needed)) or info['error_msgs'][0]}",
            "They would be random." if task.name != "fill-mask" else "Give a model that was trained to fill masks.",
        )


def _google_head(config: Any) -> Any:  # noqa: ANN401 - ElectraConfig, torch.nn.Module
    """Google's head on [CLS]: dropout and one dense layer (ClassificationTask.get_prediction_module)."""
    nn: Any = import_torch("to fine-tune").nn

    class GoogleHead(nn.Module):  # type: ignore[misc]
        """As above."""

        def __init__(self) -> None:
            super().__init__()
            self.dropout = nn.Dropout(_GOOGLE_DROPOUT)
            self.dense = nn.Linear(config.hidden_size, config.num_labels)
            # tf.layers.dense draws uniformly (Glorot), and begins with no bias.
            nn.init.xavier_uniform_(self.dense.weight)
            nn.init.zeros_(self.dense.bias)

        def forward(self, features: Any, **_: Any) -> Any:  # noqa: ANN401 - torch's
            """The logits of [CLS], features being [rows, length, hidden]."""
            return self.dense(self.dropout(features[:, 0]))

    return GoogleHead()


def write_model(model: Any, start: Start, folder: Path, scratch: Path, segment: int) -> None:  # noqa: ANN401
    """Write a model with its tokenizer into a folder that does not exist: of ELECTRA, as convert writes it.

    Args:
        model: of transformers.
        start: where it began.
        folder: where it goes.
        scratch: a folder for what is not kept.
        segment: the token type that its tokenizer gives a text.
    """
    saved = scratch / "saved"
    weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    if "classifier.dense.bias" in weights and "classifier.out_proj.bias" not in weights:
        weights = _with_stock_head(weights)
    transformers = import_transformers("to write the model")
    with quiet_transformers(transformers):
        model.save_pretrained(saved, state_dict=weights)
    for name, content in start.tokenizer.files.items():
        write_file(saved / name, _with_segment(name, content, segment))
    if not start.is_electra:
        folder.mkdir()
        for path in sorted(saved.iterdir()):
            write_file(folder / path.name, path.read_bytes())
        return
    run_conversion(saved, folder, Options(to="safetensors"))
    (folder / CONVERSION_FILE).unlink()


def _with_stock_head(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Google's dense layer as transformers' two, exactly (schemes/heads/sequence_classification.py)."""
    torch = import_torch("to write the model")
    dense = {f"classifier.{part}": _weight(weights[f"classifier.dense.{part}"]) for part in ("weight", "bias")}
    made = {name: torch.from_numpy(np.array(one.read_float32())) for name, one in Pairs().forward(dense).items()}
    return {name: one for name, one in weights.items() if not name.startswith("classifier.")} | made


def _weight(values: Any) -> Weight:  # noqa: ANN401 - torch.Tensor
    array = np.ascontiguousarray(values.float().numpy())

    def stream(scratch: memoryview) -> Any:  # noqa: ANN401 - pieces
        yield from stream_bytes(array.reshape(-1).view(np.uint8).data, scratch)

    return Weight(Tensor("classifier", DTYPES["float32"], array.shape, stream))


def _with_segment(name: str, content: bytes, segment: int) -> bytes:
    """A tokenizer.json that gives a text by itself a token type, as Google's code does in tagging."""
    if name != TOKENIZER_FILE or not segment:
        return content
    tokenizer = json.loads(content)
    for part in tokenizer["post_processor"]["single"]:
        for piece in part.values():
            piece["type_id"] = segment
    return json.dumps(tokenizer, ensure_ascii=False, indent=2).encode()
