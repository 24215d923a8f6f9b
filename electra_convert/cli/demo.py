"""electra-convert demo: what may be asked for, and what is done."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.demo_request import Request, refuse_idle_options
from electra_convert.cli.guide import Guide, GuidedCommand
from electra_convert.cli.shared import (
    SOURCE_IS,
    config_options,
    model_name,
    output_options,
    prepare_hub,
    task_options,
    tokenizer_options,
)
from electra_convert.cli.values import PATH, SOURCE, Share
from electra_convert.errors import UsageError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from starlette.applications import Starlette

    from electra_convert.demo.evaluation import Unit
    from electra_convert.demo.examples import Sentence
    from electra_convert.demo.model import LoadedModel
    from electra_convert.demo.scoring import ScoredText
    from electra_convert.schemes.mapping import Role


GUIDE = Guide(
    arguments={
        "MODEL": f"{SOURCE_IS} It need not be converted first. By default, the model that comes with this tool, and "
        "sentences in which it finds the word that does not belong.",
        "SENTENCE...": "A text in quotes, or several. By default, each line of standard input is one.",
    },
    groups={
        "What is shown": "words original corrupt fill",
        "Of a fine-tuned model": "pair question",
        "Where": "file html web",
        "Vocabulary": "vocab",
        "Output": "json quiet",
    },
    examples=(
        "electra-convert demo",
        'electra-convert demo my-electra "The quick brown fox ate over the lazy dog."',
        'electra-convert demo my-reader --file article.txt --question "Who was it?"',
        "electra-convert demo my-electra --web",
    ),
    page="docs/demo.md",
)
# Sentences of which it is better to have one after the other than all in the end.
_MANY = 1000


class Host(click.ParamType[str]):
    """The name of a host, alone; or with *. before it for every name below it."""

    name = "host"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Read it, in the small letters that browsers send."""
        text = str(value).strip().lower()
        if not re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", text):
            wanted = "a name such as hub.example.org, or *.example.org, without https://, port and path"
            self.fail(f"{text!r} is not the name of a host: expected {wanted}", param, ctx)
        return text


@dataclass(frozen=True)
class Opener:
    """Opens the models of what was pointed at, and says what was guessed."""

    source: str | Path
    settings: dict[str, Any]
    quiet: bool

    @property
    def name(self) -> str:
        """What the model is called on pages and in JSON."""
        return model_name(self.source)

    def open(self, role: Role) -> LoadedModel:
        """Open one of the models."""
        from electra_convert.cli.printing import print_message
        from electra_convert.demo.opening import load

        model = load(self.source, role, **self.settings)
        for notice in () if self.quiet else model.notices:
            print_message("Note", notice)
        return model


@click.command("demo", cls=GuidedCommand, guide=GUIDE, short_help="Show what a model makes of a text.")
@click.argument("model", type=SOURCE, required=False)
@click.argument("sentences", metavar="[SENTENCE]...", nargs=-1)
@click.option(
    "--file",
    type=PATH,
    metavar="FILE",
    help="Take every line of a file, or with --question all of it; - stands for standard input. For thousands of "
    "lines there is electra-convert score.",
)
@click.option("--words", is_flag=True, help="Show whole words, each with the highest probability among its tokens.")
@click.option(
    "--threshold",
    type=Share("probability", zero=True),
    default=0.5,
    show_default=True,
    help="Call a token replaced where its probability is higher than this, such as 0.5 or 50%.",
)
@click.option(
    "--original", metavar="TEXT", help="The unchanged sentence: show what was replaced, and whether it was noticed."
)
@click.option(
    "--corrupt",
    type=Share("share of the tokens", zero=False),
    metavar="SHARE",
    help="Let the generator replace this share of the tokens first, such as 15%.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The seed of what --corrupt draws."
)
@click.option(
    "--fill",
    type=click.IntRange(1, 1000),
    metavar="COUNT",
    help="Show the generator's likeliest pieces for each [MASK].",
)
@click.option(
    "--pair", metavar="TEXT", help="The second text, for a classifier of two: each SENTENCE is compared with it."
)
@click.option(
    "--question", metavar="TEXT", help="The question that is answered in the words of each SENTENCE, or of --file."
)
@task_options
@click.option("--table/--no-table", default=True, help="Whether to show every number, or one line for each text.")
@click.option("--html", type=PATH, metavar="FILE", help="Also write the result as a web page that needs no network.")
@click.option("--overwrite", is_flag=True, help="Replace the file of --html if it exists.")
@click.option("--web", is_flag=True, help="Serve an interactive page, to this computer alone, until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port of --web. By default, any free one.")
@click.option(
    "--allow-host",
    type=Host(),
    multiple=True,
    metavar="HOST",
    help="Have --web answer to this name too, such as that of a notebook's proxy. Can be repeated.",
)
@click.option(
    "--generator",
    type=SOURCE,
    metavar="FOLDER",
    help="The generator that goes with MODEL, when MODEL is a discriminator alone.",
)
@click.option(
    "--vocab",
    type=PATH,
    metavar="FILE|FOLDER",
    help="The vocabulary, or a tokenizer's folder. By default, the one beside the model.",
)
@tokenizer_options
@config_options
@output_options
def command(
    model: str | Path | None,
    generator: str | Path | None,
    vocab: Path | None,
    hparams: str | None,
    config: Path | None,
    cased: bool | None,
    strip_accents: bool | None,
    tokenize_chinese_chars: bool | None,
    added_tokens: Path | None,
    task: str | None,
    labels: str | None,
    **asked: Any,  # noqa: ANN401 - the fields of Request
) -> None:
    """Show what MODEL makes of each SENTENCE.

    A discriminator says which tokens it believes were replaced. A fine-tuned model does what it is for: it tells the
    class of a text, tags its words, or answers a question about it.
    """
    from electra_convert.demo.opening import FineTuned
    from electra_convert.demo.sample import SAMPLE
    from electra_convert.frameworks import require_packages
    from electra_convert.schemes.layouts import read_task
    from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

    request = Request(**asked)
    request.refuse_contradictions()
    refuse_idle_options(request)
    if request.web:
        require_packages("demo", "to serve the page", "torch", "starlette", "uvicorn")
    require_packages("torch", "to run a model", "torch")
    prepare_hub(request.quiet or request.as_json)
    options = TokenizerOptions(
        vocab=vocab,
        lower_case=None if cased is None else not cased,
        strip_accents=strip_accents,
        tokenize_chinese_chars=tokenize_chinese_chars,
        added_tokens=added_tokens,
    )
    settings = {
        "generator": generator,
        "options": options,
        "hparams": hparams,
        "config": config,
        "fine_tuned": FineTuned(read_task(task), labels),
    }
    opener = Opener(SAMPLE if model is None else model, settings, request.quiet or request.as_json)
    if request.web:
        _serve(opener, request)
    elif request.fill is not None:
        _fill(opener, request)
    elif model is None and request.file is None:
        _show_sample(opener, request)
    else:
        _show(opener, request)


def _show(opener: Opener, request: Request) -> None:
    from electra_convert.cli.demo_tasks import refuse_others, show_answers
    from electra_convert.cli.printing import print_message
    from electra_convert.pages import check_page

    if request.html is not None:
        check_page(request.html, request.overwrite)
    sentences = _sentences(request)
    if len(sentences) > _MANY and not request.quiet:
        print_message("Note", f"{len(sentences):,} lines are held until the end; electra-convert score holds none.")
    discriminator = opener.open("discriminator")
    if discriminator.head.is_of_a_task:
        show_answers(opener.name, discriminator, sentences, request)
    else:
        refuse_others(opener.name, discriminator)
        _show_scores(opener, request, discriminator, sentences)
    if not (request.quiet or request.as_json) and _are_words(request.sentences):
        print_message("Note", "each argument is a text of its own; put quotes around a sentence with spaces.")


def _show_sample(opener: Opener, request: Request) -> None:
    from electra_convert.cli.printing import print_message
    from electra_convert.demo.sample import examples_for

    examples = examples_for(opener.open("discriminator"))
    _show(opener, replace(request, sentences=examples, words=True, table=False))
    if not (request.quiet or request.as_json):
        print_message(
            "Note", 'this is the model that comes with the tool; yours: electra-convert demo MODEL "A text."'
        )


def _show_scores(opener: Opener, request: Request, discriminator: LoadedModel, sentences: Iterable[Sentence]) -> None:
    from electra_convert.cli.demo_printing import Printer
    from electra_convert.cli.printing import print_message
    from electra_convert.demo.evaluation import evaluate
    from electra_convert.demo.html import scores_page
    from electra_convert.pages import save_page

    unit: Unit = "word" if request.words else "token"
    patient = request.html is not None
    printer = Printer(unit, request.threshold, table=request.table, quiet=request.quiet, patient=patient)
    scored = []
    for one in _scored(opener, request, discriminator, sentences):
        scored.append(one)
        if not request.as_json:
            printer.text(one)
    evaluation = None
    if request.corrupt is not None:
        evaluation = evaluate([one.marked("token", request.threshold) for one in scored])
    if request.as_json:
        printer.whole(opener.name, scored, evaluation)
    elif evaluation is not None:
        printer.evaluation(evaluation)
    if request.html is not None:
        marked = [one.marked(unit, request.threshold) for one in scored]
        save_page(request.html, scores_page(marked, request.threshold, opener.name, evaluation), request.overwrite)
    printer.close()
    if request.html is not None and not (request.quiet or request.as_json):
        print_message("Note", f"Wrote {request.html}")


def _are_words(sentences: Sequence[str]) -> bool:
    """Whether these look like one sentence without its quotes; scripts with capitals part their words by spaces."""
    return len(sentences) > 1 and not any(" " in one or one.lower() == one.upper() for one in sentences)


def _scored(
    opener: Opener, request: Request, discriminator: LoadedModel, sentences: Iterable[Sentence]
) -> Iterator[ScoredText]:
    from electra_convert.demo.examples import score_corrupted, score_edited, score_sentences

    if request.original is not None:
        yield score_edited(discriminator, request.original, request.sentences[0])
    elif request.corrupt is not None:
        generator = opener.open("generator")
        yield from score_corrupted(discriminator, generator, sentences, request.corrupt, request.seed)
    else:
        yield from score_sentences(discriminator, sentences)


def _fill(opener: Opener, request: Request) -> None:
    from electra_convert.cli.demo_printing import print_fillings

    texts = [sentence.text for sentence in _sentences(request)]
    fillings = opener.open("generator").fill(texts, request.fill or 1)
    print_fillings(opener.name, texts, fillings, request.as_json)


def _sentences(request: Request) -> list[Sentence]:
    from electra_convert.demo.examples import numbered, read_lines, read_text

    if request.sentences:
        return numbered(request.sentences)
    if request.file is None and (sys.stdin is None or sys.stdin.isatty()):
        raise _nothing_given(request)
    if request.file is None or request.file == Path("-"):
        data, name = sys.stdin.buffer.read(), "standard input"
    else:
        data, name = request.file.read_bytes(), str(request.file)
    if request.question is None:
        return read_lines(data, name)
    if request.file is None and not data.strip():
        raise _nothing_given(request)
    # What a question is answered from is one passage, however many lines it has.
    return [read_text(data, name)]


def _nothing_given(request: Request) -> UsageError:
    if request.question is not None:
        return UsageError(
            "there is no passage to find the answer in",
            'Give one: electra-convert demo MODEL "It was Ada." --question "Who was it?", or a text file with --file',
        )
    return UsageError("there is no sentence", 'Give one: electra-convert demo MODEL "The quick brown fox"')


def _serve(opener: Opener, request: Request) -> None:
    from electra_convert.cli.printing import print_message, print_result
    from electra_convert.demo.web.server import listen, require_server, serve

    require_server()
    with listen(request.port) as socket:
        discriminator = opener.open("discriminator")
        make = _answers_page if discriminator.head.is_of_a_task else _scores_page
        application = make(opener, request, discriminator)
        # The first pass of a network takes longer than any later one: nobody should wait for it at the first key.
        discriminator.warm_up()
        # Once the address is told, Ctrl-C is no failure.
        with suppress(KeyboardInterrupt):
            port = socket.getsockname()[1]
            print_result(f"http://127.0.0.1:{port}/")
            for note in () if request.quiet else _about_reaching(port, request.allow_host):
                print_message("Note", note)
            serve(socket, application)


def _scores_page(
    opener: Opener, request: Request, discriminator: LoadedModel
) -> Callable[[ThreadPoolExecutor], Starlette]:
    from electra_convert.cli.demo_tasks import refuse_others
    from electra_convert.demo.opening import roles_of
    from electra_convert.demo.sample import examples_for
    from electra_convert.demo.web.app import Settings, make_app

    refuse_others(opener.name, discriminator)
    roles = roles_of(opener.source, opener.settings["generator"])
    examples = examples_for(discriminator)
    text = next(iter((*request.sentences, *examples)), "")
    settings = Settings(opener.name, request.threshold, request.words, text, examples, request.allow_host)
    generator = opener.open("generator") if "generator" in roles else None
    return partial(make_app, discriminator, generator, settings)


def _answers_page(opener: Opener, request: Request, model: LoadedModel) -> Callable[[ThreadPoolExecutor], Starlette]:
    from electra_convert.cli.demo_tasks import check_asked
    from electra_convert.demo.web.answers import FormSettings, make_answers_app

    other = check_asked(opener.name, model, request.pair, request.question)
    text = next(iter(request.sentences), "")
    return partial(make_answers_app, model, FormSettings(opener.name, text, other or "", request.allow_host))


def _about_reaching(port: int, hosts: Sequence[str]) -> Iterator[str]:
    others = f", and what comes through {' or '.join(hosts)}," if hosts else ""
    yield f"only this machine{others} can reach the page; Ctrl-C ends it."
    # sshd says there which address and port of this machine its client reached.
    connection = os.environ.get("SSH_CONNECTION", "").split()
    if len(connection) == 4:
        server, at = connection[2:]
        login = f"{os.environ['USER']}@{server}" if "USER" in os.environ else server
        option = "" if at == "22" else f"-p {at} "
        yield f"to see it where you sit, run there: ssh {option}-N -L {port}:127.0.0.1:{port} {login}"
