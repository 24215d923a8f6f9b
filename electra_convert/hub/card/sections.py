"""The parts of a card that the tool writes, between markers; every word outside them is the user's and stays."""

from __future__ import annotations

import re
from collections.abc import Mapping

from electra_convert.errors import CardError

_MARKER = re.compile(r"<!-- (/?)electra_convert:([a-z_]+) -->")


def marked(name: str, content: str) -> str:
    """A section between its markers.

    Args:
        name: of the section.
        content: Markdown without a newline at its end.

    Returns:
        The lines, without a newline at the end.
    """
    content = _MARKER.sub("", content)  # what a record says must not end a section
    return f"<!-- electra_convert:{name} -->\n{content}\n<!-- /electra_convert:{name} -->"


def section_names(text: str, where: str) -> list[str]:
    """The sections of a card.

    Args:
        text: the card, lines ended by newlines.
        where: the card's file, for messages.

    Returns:
        The names of the sections, in their order.

    Raises:
        CardError: a marker has no partner, stands inside another section, or a section is there twice.
    """
    names: list[str] = []
    opened: str | None = None
    for marker in _MARKER.finditer(text):
        closes, name = bool(marker[1]), marker[2]
        if closes != (opened is not None) or (closes and name != opened) or (not closes and name in names):
            raise CardError(
                f"{where}: the marker {marker[0]} has no partner, or is there twice",
                "Each section stands once, between <!-- electra_convert:NAME --> and <!-- /electra_convert:NAME -->.",
            )
        opened = None if closes else name
        if not closes:
            names.append(name)
    if opened is not None:
        raise CardError(f"{where}: the section {opened!r} does not end", f"Add <!-- /electra_convert:{opened} -->.")
    return names


def fill_sections(text: str, contents: Mapping[str, str], where: str) -> str:
    """Write the sections of a card anew.

    Args:
        text: the card, lines ended by newlines.
        contents: Markdown by the name of the section; one that the card does not have is passed over.
        where: the card's file, for messages.

    Returns:
        The card; what stands outside the sections is as it was, and sections of other names too.

    Raises:
        CardError: its markers do not pair.
    """
    for name in section_names(text, where):
        if name in contents:
            start, end = f"<!-- electra_convert:{name} -->", f"<!-- /electra_convert:{name} -->"
            before, _, rest = text.partition(start)
            after = rest.partition(end)[2]
            text = before + marked(name, contents[name]) + after
    return text
