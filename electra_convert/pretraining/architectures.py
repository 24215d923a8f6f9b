"""Two models of any architecture of transformers, made of their configurations and tied; writes nothing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from electra_convert.errors import ConfigError
from electra_convert.frameworks import import_transformers, quiet_transformers
from electra_convert.pretraining.designs import Design
from electra_convert.pretraining.dropout import use_fast_dropout
from electra_convert.schemes.mapping import Role

# What configurations call the ids that a tokenizer's special pieces have; not all have all of them.
_SPECIAL = {
    "bos_token_id": "[CLS]",
    "cls_token_id": "[CLS]",
    "eos_token_id": "[SEP]",
    "sep_token_id": "[SEP]",
    "mask_token_id": "[MASK]",
}
_DEVIATION = 0.02


class Discriminator(nn.Module):
    """An encoder with the head of Google's discriminator on it: of each hidden state, one logit.

    Args:
        encoder: a model of transformers without a head.
    """

    def __init__(self, encoder: Any) -> None:  # noqa: ANN401 - transformers.PreTrainedModel
        super().__init__()
        self.config = encoder.config
        width = self.config.hidden_size
        layers = {"dense": nn.Linear(width, width), "dense_prediction": nn.Linear(width, 1)}
        self.encoder, self.head = encoder, nn.ModuleDict(layers)
        for layer in layers.values():
            nn.init.trunc_normal_(layer.weight, std=_DEVIATION, a=-2 * _DEVIATION, b=2 * _DEVIATION)
            nn.init.zeros_(layer.bias)

    def forward(self, ids: torch.Tensor, **inputs: Any) -> torch.Tensor:  # noqa: ANN401 - whatever the encoder takes
        """How much each token looks replaced: [batch, length, 1]."""
        hidden = nn.functional.gelu(self.head["dense"](self.encoder(ids, **inputs)[0]))
        logits: torch.Tensor = self.head["dense_prediction"](hidden)
        return logits


def make_pair(
    designs: Mapping[Role, Design], ids: Mapping[str, int], length: int, untied: bool, seed: int, fast_dropout: bool
) -> dict[Role, nn.Module]:
    """Make both models, their weights drawn as transformers draws them.

    Args:
        designs: the configuration of each model.
        ids: the id of each piece of the vocabulary, which has these alone.
        length: how long sequences are, in tokens.
        untied: whether the models share no embeddings, even where they could.
        seed: the same seed gives the same weights.
        fast_dropout: whether dropout is this package's own.

    Raises:
        ConfigError: transformers has no such model, cannot make it, or sequences are too long for it.
    """
    with torch.random.fork_rng(), quiet_transformers(import_transformers("to pretrain")):
        torch.manual_seed(seed)
        encoder = _made("discriminator", designs["discriminator"], ids, "AutoModel")
        _require_encoder("discriminator", encoder)
        generator = _made("generator", designs["generator"], ids, "AutoModelForMaskedLM")
        _require_encoder("generator", getattr(generator, generator.base_model_prefix, generator))
        networks: dict[Role, nn.Module] = {"discriminator": Discriminator(encoder), "generator": generator}
    if not untied:
        share_embeddings(encoder, generator)
    for role, network in networks.items():
        if (most := positions_of(network)) is not None and length > most:
            raise ConfigError(
                f"max_seq_length is {length}, but the {role} has {most} positions",
                "Shorten it, or raise max_position_embeddings in its configuration.",
            )
        if fast_dropout:
            use_fast_dropout(network)
    return networks


def require_possible(designs: Mapping[Role, Design], length: int) -> None:
    """Refuse, before a corpus is tokenised, what make_pair could not make; takes no memory for weights.

    Raises:
        ConfigError: as make_pair.
    """
    stand_in = {**{piece: row for row, piece in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))}, "a": 5}
    with torch.device("meta"):
        make_pair(designs, stand_in, length, False, 0, False)


def _made(role: Role, design: Design, ids: Mapping[str, int], auto: str) -> Any:  # noqa: ANN401 - PreTrainedModel
    kind = design["model_type"]
    config_class, architecture = _classes(role, kind, auto)
    given = {key: value for key, value in design.items() if key != "model_type"}
    given |= {"vocab_size": len(ids), "pad_token_id": ids["[PAD]"]}
    try:
        known = config_class.from_dict(dict(given))
        special = {key: ids[piece] for key, piece in _SPECIAL.items() if getattr(known, key, None) is not None}
        config = config_class.from_dict({**given, **special})
        # Nothing trains a pooler, which would stay as it was drawn.
        pooler = "add_pooling_layer" in inspect.signature(architecture.__init__).parameters
        return architecture._from_config(config, **({"add_pooling_layer": False} if pooler else {}))
    except Exception as error:
        told = " ".join(str(error).split())[:300]
        why = f"{type(error).__name__}: {told}"
        raise ConfigError(f"--{role} is nothing that transformers makes a model of: {why}") from error


def _classes(role: Role, kind: str, auto: str) -> tuple[Any, Any]:
    """The configuration's class and the model's for a kind of architecture."""
    transformers = import_transformers("to pretrain")
    try:
        config_class = transformers.CONFIG_MAPPING[kind]
        return config_class, getattr(transformers, auto)._model_mapping[config_class]
    except KeyError as error:
        what = "masked language model" if role == "generator" else "encoder"
        raise ConfigError(
            f"--{role} is of the architecture {kind!r}, of which transformers {transformers.__version__} has no "
            f"{what}"
        ) from error


def _require_encoder(role: Role, model: Any) -> None:  # noqa: ANN401 - transformers.PreTrainedModel
    """Refuse what does not make of each token a hidden state that all others have a part in, as halves of a
    translator, readers of images and models that look back alone."""
    config = model.config
    masked = import_transformers("to pretrain").AutoModelForMaskedLM._model_mapping
    if (
        config.is_encoder_decoder
        or getattr(config, "is_decoder", False)
        or type(config) not in masked
        or not isinstance(getattr(config, "hidden_size", None), int)
        or next(iter(inspect.signature(model.forward).parameters)) != "input_ids"
    ):
        raise ConfigError(
            f"--{role} is of the architecture {config.model_type!r}, which is no encoder of tokens",
            "Give one with an encoder alone, such as bert, modernbert or deberta-v2.",
        )


def share_embeddings(encoder: Any, generator: Any) -> bool:  # noqa: ANN401 - transformers.PreTrainedModel
    """Give the generator the discriminator's embeddings, where both are of one architecture and of equal shapes."""
    own, other = (getattr(generator, generator.base_model_prefix, generator), encoder)
    name = next(name for name, module in other.named_modules() if module is other.get_input_embeddings())
    parent = name.rpartition(".")[0]
    shapes = [
        {key: value.shape for key, value in model.get_submodule(parent).named_parameters()} for model in (own, other)
    ]
    if type(own) is not type(other) or not parent or shapes[0] != shapes[1]:
        return False
    setattr(own.get_submodule(parent.rpartition(".")[0]), parent.rpartition(".")[2], other.get_submodule(parent))
    generator.tie_weights()
    return True


def shared_lines(networks: Mapping[Role, nn.Module]) -> list[str]:
    """What a reader should know of what both models share, and of what they are given."""
    own, other = ({id(one) for one in network.parameters()} for network in networks.values())
    shared = "share their embeddings" if own & other else "share no embeddings: their architectures or widths differ"
    counts = [sum(one.numel() for one in network.parameters()) for network in networks.values()]
    return [
        f"The models {shared}; the discriminator has {counts[0]:,} parameters, the generator {counts[1]:,}.",
    ]


def positions_of(network: nn.Module) -> int | None:
    """How long an input may be; None where nothing says."""
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # Where padding has a position, the first token's is the one after it.
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    most = getattr(config_of(network), "max_position_embeddings", None)
    return most if isinstance(most, int) else None


def config_of(network: nn.Module) -> Any:  # noqa: ANN401 - transformers.PretrainedConfig
    """The configuration of a model."""
    return network.config


def takes_segments(networks: Mapping[Role, nn.Module]) -> bool:
    """Whether both models tell first from second sentences."""
    encoders = [getattr(network, "encoder", network) for network in networks.values()]
    return all(
        "token_type_ids" in inspect.signature(encoder.forward).parameters
        and getattr(encoder.config, "type_vocab_size", 0) > 1
        for encoder in encoders
    )
