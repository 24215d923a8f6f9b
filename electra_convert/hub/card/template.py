"""The words of a card, from card.md: filled in with what is known of a model, every value escaped for Markdown.

Code for a task that transformers has no pipeline for lies beside it, in a file of the task's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from electra_convert.hub.card.facts import Facts
from electra_convert.hub.card.proof import object_in, stages_of
from electra_convert.pages import has_page_file, render
from electra_convert.schemes.family import BERT
from electra_convert.schemes.heads import NONE
from electra_convert.tokenizer.sentences import PLACEHOLDER, example_of

_HERE = "electra_convert.hub.card"
_NAME = re.compile(r"[A-Za-z0-9]+((_+|[./-]+)[A-Za-z0-9]+)*")

_HINT = "# Write a sentence of the model's language here.\n"


# Without which words of Persian and of Indian languages are spelt otherwise.
_JOINERS = "\u200c\u200d"


class Markdown(str):
    """Text that is Markdown already; all else is escaped where a template names it."""


def render_card(facts: Facts, languages: Sequence[str] = ()) -> str:
    """Write a whole card without its front matter: a heading, sections between markers, and what to cite.

    Its code is shown with a sentence of the first language that there is one of, by ISO 639 code.
    """
    example = example_of(languages)
    conversion, parity, role = facts.conversion or {}, facts.proof.parity or {}, facts.folder.role
    own_code = f"{facts.task}.md"
    stages = stages_of(parity, role)
    return render(
        _HERE,
        "card.md",
        escape=escaped,
        facts=facts,
        place=verbatim(json.dumps(facts.repo_id or ".")),
        revision=verbatim(f", revision={json.dumps(facts.revision)}" if facts.revision else ""),
        source=object_in(conversion, "source"),
        tool=object_in(conversion, "tool"),
        notices=_list(conversion.get("notices")),
        example=example,
        no_pooler=", add_pooling_layer=False" if facts.folder.architecture == NONE.architecture(BERT) else "",
        own_code=own_code if has_page_file(_HERE, own_code) else None,
        hint=Markdown(_HINT if example == PLACEHOLDER else ""),
        settings=_settings(facts.proof.training or {}),
        notes=_list(parity.get("notes")),
        stages=stages,
        rounding=stages_of(parity, role, "rounding"),
        measured={key for figures in stages.values() for key in figures},
        as_cell=as_cell,
        as_code=as_code,
        as_name=as_name,
        figure=figure,
        verbatim=verbatim,
    )


def escaped(value: object) -> Markdown:
    """Text that Markdown shows as it is, on one line, in a cell of a table too."""
    if isinstance(value, Markdown):
        return value
    return Markdown(re.sub(r"[\\`*_\[\]<>#|~&@]|(?<=\w):(?=//)|(?<=www)\.", r"\\\g<0>", printable(value)))


def as_name(value: str) -> Markdown:
    """A name as it is where Markdown leaves it so: an underscore between letters emphasises nothing."""
    return Markdown(value) if _NAME.fullmatch(value) else escaped(value)


def verbatim(value: object) -> Markdown:
    """Text for a line of a block of code, where nothing is escaped; it ends no block, and begins no comment."""
    return Markdown(_shown(str(value).replace("<!--", "<! --")))


def printable(value: object) -> str:
    """Text on one line, words a space apart, without what steers a terminal or turns the direction of writing."""
    return " ".join(_shown(str(value)).split())


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter in _JOINERS else " " for letter in text)


def as_code(value: object) -> Markdown:
    """Text as code, on one line; the fence is longer than any run of backticks in it."""
    text = " ".join(verbatim(value).split())
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    padding = " " if "`" in text else ""
    return Markdown(f"{fence}{padding}{text}{padding}{fence}")


def as_cell(markdown: Markdown) -> Markdown:
    """Code in a cell of a table, which any bar ends that is not escaped, within code too."""
    return Markdown(markdown.replace("|", r"\|"))


def figure(value: object, form: str) -> object:
    """A number in a form, or whatever else a record holds in its place."""
    return format(value, form) if isinstance(value, int | float) else value or ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _settings(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a training.json says in single values, but for the hashes of files."""
    settings = {key: value for key, value in training.items() if key not in {"schema", "files", "evaluation"}}
    settings |= {"recipe": _recipe(training["recipe"])} if isinstance(training.get("recipe"), dict) else {}
    return [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in _scalars(settings)]


def _recipe(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Each value with where it comes from."""
    return {
        name: f"{one.get('value')} ({one.get('origin')})" for name, one in recipe.items() if isinstance(one, dict)
    }


def _scalars(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The values of a record that are no lists, those of objects within it under dotted names."""
    found: list[tuple[str, Any]] = []
    for key, value in record.items():
        if isinstance(value, dict):
            found += _scalars(value, f"{prefix}{key}.")
        elif isinstance(value, str | int | float) or value is None:
            found.append((f"{prefix}{key}", value))
    return found
