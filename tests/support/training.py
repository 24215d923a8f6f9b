"""Pretraining of google-research/electra written out again, as functions of its variables; the replays' oracle.

Written from model/modeling.py, model/optimization.py and run_pretraining.py (8a46635). It draws nothing: masks and
replacements are given, and nothing is dropped out. It shares no line with the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from support.replay import STEPS, Outcome, Recording, by_parameter

_EPSILON = 1e-6


def train(recording: Recording) -> Outcome:
    """Take every step of a recording in float64."""
    import torch

    hparams = recording.hparams
    weights = {name: torch.tensor(value, dtype=torch.float64) for name, value in recording.start.items()}
    slots = {
        f"{name}/{slot}": torch.zeros_like(value) for name, value in weights.items() for slot in ("adam_m", "adam_v")
    }
    scalars: dict[str, list[float]] = {}
    first: dict[str, Any] = {}
    for step in range(STEPS):
        batch = {
            name: torch.from_numpy(_wide(values[step]))
            for name, values in recording.batches.items()
            if values.ndim > 2
        }
        graph = _Graph(hparams, weights)
        losses = graph.losses(batch)
        gradients, norm = graph.gradients(losses["total_loss"])
        clipped = {name: gradient / max(1.0, norm) for name, gradient in gradients.items()}
        first = first or {name: gradient.numpy() for name, gradient in clipped.items()}
        rate = hparams["learning_rate"] * (1 - step / hparams["num_train_steps"])
        rate *= min(1.0, step / hparams["num_warmup_steps"])
        for name, gradient in clipped.items():
            _update(weights, slots, name, gradient, rate)
        told = {name: loss.item() for name, loss in losses.items()} | {"grad_norm": norm, "learning_rate": rate}
        for name, value in told.items():
            scalars.setdefault(name, []).append(value)
    variables = {name: value.numpy() for name, value in (weights | slots).items()}
    series = {name: np.array(values) for name, values in scalars.items()}
    return Outcome(series, by_parameter(_single(first)), by_parameter(_single(variables)))


def _wide(values: Any) -> Any:
    return values.astype(np.float64 if values.dtype == np.float32 else np.int64)


def _single(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _update(weights: Any, slots: Any, name: str, gradient: Any, rate: float) -> None:
    """AdamWeightDecayOptimizer: no correction of bias, and a decay apart from the moments."""
    m = slots[f"{name}/adam_m"] = 0.9 * slots[f"{name}/adam_m"] + 0.1 * gradient
    v = slots[f"{name}/adam_v"] = 0.999 * slots[f"{name}/adam_v"] + 0.001 * gradient**2
    update = m / (v.sqrt() + 1e-6)
    if not any(part in name for part in ("LayerNorm", "layer_norm", "bias")):
        update = update + 0.01 * weights[name]
    weights[name] = weights[name] - rate * update


class _Graph:
    """The losses of one batch as functions of the variables, and what TensorFlow makes of their gradients."""

    def __init__(self, hparams: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
        self._hparams = hparams
        self._leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
        self._looked_up: dict[str, list[Any]] = {}
        self._projected: set[str] = set()

    def losses(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """PretrainingModel.__init__."""
        hparams = self._hparams
        weights = batch["masked_lm_weights"]
        hidden, table = self._generator(batch)
        if hidden is None:
            per_place = weights.new_full(weights.shape, float(np.log(hparams["vocab_size"])))
        else:
            per_place = self._masked_lm(hidden, table, batch)
        losses = {"mlm_loss": (weights * per_place).sum() / (weights.sum() + _EPSILON)}
        losses["total_loss"] = losses["mlm_loss"]
        if hparams.get("electra_objective", True):
            losses["disc_loss"] = self._disc(batch)
            losses["total_loss"] = losses["mlm_loss"] + 50 * losses["disc_loss"]
        return losses

    def _generator(self, batch: Mapping[str, Any]) -> tuple[Any, str]:
        hparams, ids = self._hparams, batch["masked_input_ids"]
        if hparams.get("uniform_generator"):
            return None, ""
        if hparams.get("electra_objective", True) and hparams.get("untied_generator", True):
            embeddings = "generator" if hparams.get("untied_generator_embeddings") else "electra"
            width = round(self._overrides["hidden_size"] * hparams["generator_hidden_size"])
            return self._encoded(ids, batch, embeddings, "generator", max(1, width // 64)), embeddings
        return self._encoded(ids, batch, "electra", "electra", self._overrides["num_attention_heads"]), "electra"

    @property
    def _overrides(self) -> Mapping[str, Any]:
        return self._hparams["model_hparam_overrides"]

    def _masked_lm(self, hidden: Any, embeddings: str, batch: Mapping[str, Any]) -> Any:
        """get_token_logits and get_softmax_output."""
        places = batch["masked_lm_positions"]
        rows = hidden[np.arange(len(places))[:, None], places]
        rows = self._norm("generator_predictions", _gelu(self._dense("generator_predictions/dense", rows)))
        name = f"{embeddings}/embeddings/word_embeddings"
        self._projected.add(name)
        logits = rows @ self._leaves[name].T + self._leaves["generator_predictions/output_bias"]
        originals = batch["input_ids"].gather(1, places)
        return logits.logsumexp(-1) - logits.gather(-1, originals[..., None])[..., 0]

    def _disc(self, batch: Mapping[str, Any]) -> Any:
        """_get_discriminator_output."""
        corrupted, present = batch["corrupted_input_ids"], batch["input_mask"].double()
        fake = (corrupted != batch["input_ids"]).double()
        hidden = self._encoded(corrupted, batch, "electra", "electra", self._overrides["num_attention_heads"])
        hidden = _gelu(self._dense("discriminator_predictions/dense", hidden))
        logits = self._dense("discriminator_predictions/dense_1", hidden)[..., 0]
        losses = logits.clamp(min=0) - logits * fake + (-logits.abs()).exp().log1p()
        return (losses * present).sum() / (present.sum() + _EPSILON)

    def _encoded(self, ids: Any, batch: Mapping[str, Any], embeddings: str, scope: str, heads: int) -> Any:
        """modeling.BertModel."""
        table = f"{embeddings}/embeddings/word_embeddings"
        looked_up = self._leaves[table][ids]
        self._looked_up.setdefault(table, []).append(looked_up)
        hidden = looked_up + self._leaves[f"{embeddings}/embeddings/token_type_embeddings"][batch["segment_ids"]]
        hidden = hidden + self._leaves[f"{embeddings}/embeddings/position_embeddings"][: ids.shape[1]]
        hidden = self._norm(f"{embeddings}/embeddings", hidden)
        if f"{scope}/embeddings_project/kernel" in self._leaves:
            hidden = self._dense(f"{scope}/embeddings_project", hidden)
        for layer in range(self._overrides["num_hidden_layers"]):
            hidden = self._layer(f"{scope}/encoder/layer_{layer}", hidden, batch["input_mask"], heads)
        return hidden

    def _layer(self, scope: str, hidden: Any, mask: Any, heads: int) -> Any:
        """One layer of transformer_model."""

        def split(name: str) -> Any:
            values = self._dense(f"{scope}/attention/self/{name}", hidden)
            return values.unflatten(-1, (heads, -1)).transpose(1, 2)

        query, key, value = split("query"), split("key"), split("value")
        scores = query @ key.transpose(2, 3) / np.sqrt(query.shape[-1])
        probs = (scores - 10000.0 * (1 - mask[:, None, None, :].double())).softmax(-1)
        mixed = (probs @ value).transpose(1, 2).flatten(2)
        attended = self._dense(f"{scope}/attention/output/dense", mixed) + hidden
        attended = self._norm(f"{scope}/attention/output", attended)
        wide = _gelu(self._dense(f"{scope}/intermediate/dense", attended))
        return self._norm(f"{scope}/output", self._dense(f"{scope}/output/dense", wide) + attended)

    def _dense(self, scope: str, values: Any) -> Any:
        return values @ self._leaves[f"{scope}/kernel"] + self._leaves[f"{scope}/bias"]

    def _norm(self, scope: str, values: Any) -> Any:
        centred = values - values.mean(-1, keepdim=True)
        scaled = centred / ((centred**2).mean(-1, keepdim=True) + 1e-12).sqrt()
        return scaled * self._leaves[f"{scope}/LayerNorm/gamma"] + self._leaves[f"{scope}/LayerNorm/beta"]

    def gradients(self, loss: Any) -> tuple[dict[str, Any], float]:
        """The gradients of a loss, and the norm that tf.clip_by_global_norm takes of them.

        tf.nn.embedding_lookup has a gradient of slices, one a token; added to that of a matrix product it becomes a
        matrix, and left alone it is measured slice by slice.
        """
        import torch

        slices = [one for name, many in self._looked_up.items() if name not in self._projected for one in many]
        found = torch.autograd.grad(loss, [*self._leaves.values(), *slices])
        gradients = dict(zip(self._leaves, found, strict=False))
        whole = [one for name, one in gradients.items() if name not in self._looked_up or name in self._projected]
        measured = [*whole, *found[len(self._leaves) :]]
        return gradients, float(sum((one**2).sum() for one in measured)) ** 0.5


def _gelu(values: Any) -> Any:
    import torch

    return values * 0.5 * (1 + torch.erf(values / np.sqrt(2.0)))
