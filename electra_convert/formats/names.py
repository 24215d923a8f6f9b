"""What the files of a model, and of what is told about it, are called; reads none of them."""

# TensorFlow's: what a prefix is completed with, and what saves keep beside it.
BUNDLE_INDEX = ".index"
METAGRAPH = ".meta"
STATE_FILE = "checkpoint"
SAVED_MODEL_FILE = "saved_model.pb"
HPARAMS_FILE = "hparams.json"

# transformers': weights in one file, or in shards with an index after whose name they are called.
SAFETENSORS_FILE = "model.safetensors"
TORCH_FILE = "pytorch_model.bin"
SHARD_INDEX = ".index.json"
CONFIG_FILE = "config.json"
# peft's, which lies beside weights that it is not part of.
ADAPTER_FILE = "adapter_config.json"

# The tokenizer's.
VOCABULARY_FILE = "vocab.txt"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"

# What this tool itself lays beside a model's weights.
OPTIMIZER_FILE = "optimizer.safetensors"
# Variables of a head that transformers has no place for.
BESIDE_FILE = "answerable_head.safetensors"
# A discriminator's head beside an encoder of any architecture, and how it computes.
DETECTOR_FILE = "replaced_token_detection.safetensors"
DETECTOR_RECORD = "replaced_token_detection.json"
CONVERSION_FILE = "conversion.json"
# What pretrain writes in its place; layout, step and hparams stand in it under the same keys.
TRAINING_FILE = "training.json"
PARITY_FILE = "parity.json"
CARD_FILE = "README.md"
