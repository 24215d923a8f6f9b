"""The code in a card, which a reader can run as it stands; runs nothing itself."""

from __future__ import annotations

import json

from electra_convert.hub.card.facts import Facts

_DISCRIMINATOR = """\
import torch
from transformers import AutoTokenizer, ElectraForPreTraining

name = "{name}"
tokenizer = AutoTokenizer.from_pretrained(name{revision})
discriminator = ElectraForPreTraining.from_pretrained(name{revision})

inputs = tokenizer("The quick brown fox ate over the lazy dog", return_tensors="pt")
with torch.no_grad():
    replaced = torch.sigmoid(discriminator(**inputs).logits[0])
for token, probability in zip(inputs.tokens(), replaced.tolist()):
    print(f"{{token:12}} {{probability:.3f}}")"""

_GENERATOR = """\
from transformers import pipeline

fill_mask = pipeline("fill-mask", model="{name}"{revision})
text = f"The quick brown fox {{fill_mask.tokenizer.mask_token}} over the lazy dog"
for guess in fill_mask(text):
    print(f"{{guess['token_str']:12}} {{guess['score']:.3f}}")"""

_ENCODER = """\
import torch
from transformers import AutoTokenizer, ElectraModel

name = "{name}"
tokenizer = AutoTokenizer.from_pretrained(name{revision})
encoder = ElectraModel.from_pretrained(name{revision})

inputs = tokenizer("The quick brown fox jumps over the lazy dog", return_tensors="pt")
with torch.no_grad():
    vectors = encoder(**inputs).last_hidden_state[0]
print(vectors.shape)"""

_CLASSIFIER = """\
from transformers import pipeline

classify = pipeline("{task}", model="{name}"{revision})
print(classify("The quick brown fox jumps over the lazy dog"))"""

_OTHER_TASK = """\
from transformers import AutoTokenizer, {architecture}

name = "{name}"
tokenizer = AutoTokenizer.from_pretrained(name{revision})
model = {architecture}.from_pretrained(name{revision})"""

_WITHOUT_TOKENIZER = """\
from transformers import {architecture}

model = {architecture}.from_pretrained("{name}"{revision})"""

_TEMPLATES = {"discriminator": _DISCRIMINATOR, "generator": _GENERATOR, "encoder": _ENCODER}
_PIPELINES = {"text-classification", "token-classification"}
_HERE = '# The folder of this card is "."; on the Hub, write OWNER/NAME.\n'


def usage(facts: Facts) -> str:
    """Write how a model is used.

    Args:
        facts: what is known of the model.

    Returns:
        The section, in Markdown.
    """
    name = facts.repo_id or "."
    return (
        f"## Use\n\n```python\n{'' if facts.repo_id else _HERE}{_template(facts).format(**_words(facts, name))}\n```"
    )


def _template(facts: Facts) -> str:
    if not facts.has_tokenizer:
        return _WITHOUT_TOKENIZER
    if facts.kind == "task":
        return _CLASSIFIER if facts.task in _PIPELINES else _OTHER_TASK
    return _TEMPLATES[facts.kind]


def _words(facts: Facts, name: str) -> dict[str, str]:
    return {
        "name": name,
        "revision": f", revision={json.dumps(facts.revision)}" if facts.revision else "",
        "architecture": facts.folder.architecture,
        "task": str(facts.task),
    }
