"""Heads: what stands on an encoder, and everything that depends on it; each of them a file here."""

from __future__ import annotations

from collections.abc import Mapping

from electra_convert.schemes.heads.head import Head, carried, none
from electra_convert.schemes.heads.masked_lm import MASKED_LM
from electra_convert.schemes.heads.replaced_token_detection import REPLACED_TOKEN_DETECTION
from electra_convert.schemes.mapping import Role

__all__ = ["HEADS", "MASKED_LM", "NONE", "PRETRAINING", "REPLACED_TOKEN_DETECTION", "Head", "carried"]

NONE = none()
# By name; those that are found in a model by their parameters.
HEADS: Mapping[str, Head] = {head.name: head for head in (REPLACED_TOKEN_DETECTION, MASKED_LM)}
# What each model is pretrained with.
PRETRAINING: Mapping[Role, Head] = {"discriminator": REPLACED_TOKEN_DETECTION, "generator": MASKED_LM}
