"""The vocabulary and the files around it: read as Google's code reads it, written for transformers and read back."""

from electra_convert.tokenizer.casing import Casing, decide_casing
from electra_convert.tokenizer.encode import TokenizerSettings, encode_tokenizer, encode_tokenizer_config
from electra_convert.tokenizer.folder import (
    accents_of_folder,
    casing_of_folder,
    ids_of_file,
    read_vocabulary_of_folder,
    segment_of_folder,
)
from electra_convert.tokenizer.vocabulary import SPECIAL_TOKENS, Vocabulary, check_size, read_small, read_vocabulary

__all__ = [
    "Casing",
    "SPECIAL_TOKENS",
    "TokenizerSettings",
    "Vocabulary",
    "accents_of_folder",
    "casing_of_folder",
    "check_size",
    "decide_casing",
    "encode_tokenizer",
    "encode_tokenizer_config",
    "ids_of_file",
    "read_small",
    "read_vocabulary",
    "read_vocabulary_of_folder",
    "segment_of_folder",
]
