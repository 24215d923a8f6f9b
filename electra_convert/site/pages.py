"""The page as files: its template filled in, its scripts and styles, what it is told, and what a Space is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.demo.tasks import TASKS
from electra_convert.hub.card.template import escaped
from electra_convert.hub.site_folder import SETTINGS_FILE
from electra_convert.pages import page_file, render
from electra_convert.schemes.mapping import Role
from electra_convert.site.parts import Part, encoded
from electra_convert.site.runtime import ONNXRUNTIME_WEB
from electra_convert.tokenizer.sentences import Example, examples_of_vocabulary
from electra_convert.version import __version__

_HERE, _WEB, _TASKS = "electra_convert.site", "electra_convert.demo.web", "electra_convert.demo.tasks"
# Where each file of every page lies in this package, and of the two kinds of pages.
_SHARED = {
    "style.css": "electra_convert.pages",
    "scores.css": "electra_convert.demo",
    **dict.fromkeys(("app.css", "page.js"), _WEB),
    **dict.fromkeys(("engine.js", "worker.js", "files.js", "network.js", "runner.js"), _HERE),
    **dict.fromkeys(("characters.js", "wordpiece.js", "scoring.js", "tasks.js"), _HERE),
}
_OF_SCORES = {"app.js": _WEB}
_OF_ANSWERS = {"answers.js": _WEB, "drawing.js": _WEB, "answers.css": _TASKS}
# Nothing but the page's own origin. 'wasm-unsafe-eval' has WebAssembly compiled, and evaluates no script; a thread
# that is begun from a Blob is bound by this policy, which one begun from a file would not be.
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; "
    "style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
)
_THRESHOLD = 0.5
_LONGEST_DESCRIPTION = 60  # characters, as the Hub allows


@dataclass(frozen=True)
class Alone:
    """What a page's template needs where no server of ours answers the page: what it may load."""

    policy: str = _POLICY


@dataclass(frozen=True)
class Site:
    """A page without a server.

    Attributes:
        title: what its model is called.
        kind: the head of the model: replaced_token_detection, or of a task.
        parts: its models, by role.
        models: their names on the Hub, where they come from there.
    """

    title: str
    kind: str
    parts: Mapping[Role, Part]
    models: Sequence[str] = ()

    def files(self, runtime: Mapping[str, bytes]) -> dict[str, Path | bytes]:
        """All files by path within its folder, each where it is or as it is made; the runtime's are given by name."""
        files = {name: content for part in self.parts.values() for name, content in part.files.items()}
        files |= {f"runtime/{name}": content for name, content in runtime.items()}
        files["runtime/LICENSE"] = page_file(_HERE, "license.txt").encode()
        scripts = {**_SHARED, **(_OF_ANSWERS if self.kind in TASKS else _OF_SCORES)}
        files |= {name: page_file(package, name).encode() for name, package in scripts.items()}
        files["index.html"] = self._page().encode()
        sizes = {name: _size(content) for name, content in files.items()}
        return {**files, SETTINGS_FILE: encoded(self._settings(sizes)), "README.md": self._readme().encode()}

    def _settings(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        return {
            "title": self.title,
            "kind": self.kind,
            "threshold": _THRESHOLD,
            "examples": [] if self.kind in TASKS else _examples(self.parts["discriminator"]),
            "models": {role: part.settings for role, part in self.parts.items()},
            "sizes": sizes,
        }

    def _page(self) -> str:
        if self.kind not in TASKS:
            return render(_WEB, "index.html", alone=Alone())
        task = TASKS[self.kind]
        settings = {"model": self.title, "text": "", "other": ""}
        return render(_WEB, "answers.html", alone=Alone(), page=task.page, task=task, settings=settings)

    def _readme(self) -> str:
        asks = TASKS[self.kind].page.title if self.kind in TASKS else "Which words were replaced?"
        return render(
            _HERE,
            "readme.md",
            escape=escaped,
            title=self.title,
            short=f"{asks} Ask ELECTRA, in your browser."[:_LONGEST_DESCRIPTION],
            asks=asks,
            models=self.models,
            version=__version__,
            runtime=ONNXRUNTIME_WEB,
        )


def _examples(part: Part) -> list[dict[str, Any]]:
    """Sentences of the vocabulary's languages, and where in each the word is that does not belong."""
    tokenizer = part.cutter.tokenizer
    examples = examples_of_vocabulary(
        tokenizer.get_vocab(with_added_tokens=True),
        lambda text: tokenizer.encode(text, add_special_tokens=False).tokens,
    )
    return [{"text": example.changed, **_place(example)} for example in examples]


def _place(example: Example) -> dict[str, int]:
    start = example.text.index(example.word)
    return {"start": start, "end": start + len(example.intruder)}


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
