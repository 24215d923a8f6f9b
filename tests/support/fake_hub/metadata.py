"""validate-yaml: what the Hub says of a card's front matter; rejects what the Hub's documentation does not allow."""

from __future__ import annotations

import re

import yaml

_TAGS = {"fill-mask", "feature-extraction", "text-classification", "token-classification", "question-answering"}
_RELATIONS = {"finetune", "adapter", "merge", "quantized"}
_LANGUAGES = set("en de fr ko no zh yue code multilingual".split())
_LICENCES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "gpl-3.0", "openrail", "other", "unknown"}


class _Unique(yaml.SafeLoader):
    """The Hub's reader takes no key twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"duplicated mapping key {twice[0]}", node.start_mark)
        return super().construct_mapping(node, deep)


def faults_of(content: str) -> list[str]:
    block = re.match(r"\s*---[\r\n]+(.*?)[\r\n]+---(\r\n|\r|\n|$)", content, re.DOTALL)
    if block is None:
        return []
    try:
        data = yaml.load(block[1], _Unique)
    except yaml.YAMLError as error:
        return [f"YAML: {error}"]
    if not isinstance(data, dict):
        return ["metadata is not an object"]
    return [fault for fault in (_fault(key, value, data) for key, value in data.items()) if fault]


def _fault(key: str, value: object, data: dict[str, object]) -> str | None:
    values = value if isinstance(value, list) else [value]
    if key == "license" and (value not in _LICENCES or (value == "other" and "license_name" not in data)):
        return f'"license" must be one of the listed ones, not {value!r}'
    if key == "language" and not _LANGUAGES.issuperset(values):
        return f'"language" with value {value!r} is not valid. It must be an ISO 639-1, 639-2 or 639-3 code'
    if key == "pipeline_tag" and value not in _TAGS:
        return f'"pipeline_tag" is not one of the known tasks: {value!r}'
    if key == "base_model_relation" and value not in _RELATIONS:
        return '"base_model_relation" must be one of finetune, adapter, merge, quantized'
    if key == "base_model" and not all(isinstance(one, str) and one.count("/") == 1 for one in values):
        return '"base_model" must be ids of models'
    if key == "tags" and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        return '"tags" must be an array of strings'
    if key == "library_name" and not isinstance(value, str):
        return '"library_name" must be a string'
    if key == "model-index" and not all(isinstance(one, dict) and "results" in one for one in values):
        return '"model-index" needs a dataset and a metric'
    return None
