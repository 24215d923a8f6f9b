"""HTML pages: their parts read from the package, and a page written; what is on one is decided elsewhere."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from electra_convert.errors import OutputError
from electra_convert.output import replace_file

# What a page that is complete in itself allows itself: its own styles, no script, nothing from anywhere.
CLOSED_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page_file(package: str, name: str) -> str:
    """Read a file that lies beside the modules of a package, such as style.css of electra_convert.pages."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def has_page_file(package: str, name: str) -> bool:
    """Whether there is such a file."""
    return files(package).joinpath(name).is_file()


def render(package: str, name: str, escape: Callable[[object], str] | None = None, **values: object) -> str:
    """Fill in a template that lies beside a package's modules; what ends in .html escapes all it is given.

    A template may extend page.html, and include what else lies here. A name that it uses and is not given is an
    error, never nothing.
    Values go through escape where the template is not HTML.
    """
    import jinja2

    def source(template: str) -> str:
        return page_file(package if has_page_file(package, template) else __name__, template)

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=jinja2.select_autoescape(["html", "svg"]),
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(policy=CLOSED_POLICY, **values)


def framed(page: str) -> str:
    """A whole page as part of another, such as a notebook: its styles stay its own, and nothing in it runs."""
    frame = "width: 100%; height: 28rem; border: 0; resize: vertical"
    return f'<iframe srcdoc="{html.escape(page)}" sandbox style="{frame}" title="electra-convert"></iframe>'


def check_page(path: Path, overwrite: bool) -> None:
    """Refuse a place for a page before any work is done.

    Raises:
        OutputError: it exists, is something other than a file, or its folder does not exist.
    """
    if os.path.lexists(path) and not path.is_file():
        raise OutputError(f"{path} is not a file", "Name a new file, such as report.html.")
    if path.is_file() and not overwrite:
        raise OutputError(f"{path} already exists", "Choose another name, or --overwrite to replace it.")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path.absolute().parent} is not a folder", "Make it first.")


def save_page(path: Path, text: str, overwrite: bool) -> None:
    """Write a page, which appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    check_page(path, overwrite)
    # A text may hold halves of characters that came from elsewhere; a page shows them as signs.
    replace_file(path, text.encode("utf-8", "replace"))
