"""What a checkpoint is by its names, and by what is stated beside it, where those are not ELECTRA's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from electra_convert.formats.files import small_bytes
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.names import CONFIG_FILE, CONVERSION_FILE
from electra_convert.schemes.family import ELECTRA, FAMILIES, Family

# Telltale parts of names, the more particular first.
_TELLTALES = (
    ("tf_electra_for_pre_training", "a Keras checkpoint of transformers' TFElectraForPreTraining"),
    ("tf_electra", "a Keras checkpoint of transformers' TFElectra models"),
    ("convbert", "a ConvBERT model"),
    ("electra/encoder/groups", "a model with ALBERT's shared layers"),
    ("bert/encoder/transformer/group_0", "an ALBERT model"),
    ("albert", "an ALBERT model"),
    ("distilbert", "a DistilBERT model"),
    ("xlm-roberta", "an XLM-RoBERTa model"),
    ("roberta", "a RoBERTa model"),
    ("deberta", "a DeBERTa model"),
    ("mobilebert", "a MobileBERT model"),
    ("bert/", "a BERT model (google-research/bert)"),
    ("bert.", "a BERT model (transformers)"),
    ("transformer.h.", "a GPT-2 model"),
    ("h.0.attn", "a GPT-2 model"),
    ("model/h0/attn", "a GPT-2 model (TensorFlow)"),
    ("decoder/block_", "a T5 model (TensorFlow)"),
    ("decoder.block.", "a T5 model"),
    ("model.layers.0.self_attn", "a decoder-only language model"),
    ("resnet", "an image model"),
    ("conv1/", "an image model"),
    ("lstm", "a recurrent network"),
    (".attributes/variable_value", "a TensorFlow 2 checkpoint of objects, such as Keras makes, under other names"),
)
# What names of transformers' TFElectra classes hold, and NVIDIA's, which are objects of Keras.
_KERAS = re.compile(r"tf_electra|electra/.*\.attributes/variable_value", re.IGNORECASE)
_RESAVE = (
    "Save it with save_pretrained in the code that made it (NVIDIA's has postprocess_pretrained_ckpt.py for that): "
    "this tool reads the tf_model.h5."
)


def advice(names: Iterable[str]) -> str | None:
    """What to do with a checkpoint of tensors that are not google-research/electra's, where anything can be done."""
    return _RESAVE if any(_KERAS.search(name) for name in names) else None


def numbered_by_keras(names: Iterable[str]) -> bool:
    """Whether names are those of Keras 3, which numbers the variables of every layer."""
    return any(re.search(r"(^|/)vars/\d+$", name) for name in names)


def resemblance(names: Iterable[str]) -> str:
    """Complete "it looks like ..." for names that are not ELECTRA's: a model, or else a few of the names."""
    shown = sorted(names)
    lowered = [name.lower() for name in shown]
    for telltale, model in _TELLTALES:
        if any(telltale in name for name in lowered):
            return model
    if not shown:
        return "an empty checkpoint"
    return f"something else: its {len(shown)} tensors begin with {', '.join(shown[:3])}"


def family_of_folder(folder: Path) -> Family:
    """By whose names this tool wrote a model's folder, as its conversion.json records it; ELECTRA's by default.

    Names alone cannot tell an ELECTRA encoder under BERT's names from BERT.
    """
    recorded = stated_beside(folder, "model_type", CONVERSION_FILE)
    return FAMILIES.get(recorded, ELECTRA) if isinstance(recorded, str) else ELECTRA


def stated_beside(folder: Path, key: str, file: str = CONFIG_FILE) -> object:
    """What a folder's config.json states under a key; None where it states nothing, or cannot be read."""
    path = folder / file
    try:
        config = decode_json(small_bytes(path))
    except (OSError, ValueError):
        return None
    return config.get(key) if isinstance(config, dict) else None
