"""electra-convert demo."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.demo_request import Request, Share, refuse_idle_options, require_number
from electra_convert.cli.shared import PATH, config_options, output_options, parse_source, prepare_hub
from electra_convert.errors import UsageError

if TYPE_CHECKING:
    from electra_convert.demo.judging import Labelled
    from electra_convert.demo.models import LoadedModel
    from electra_convert.demo.results import Judged, Unit
    from electra_convert.schemes.mapping import Role


@dataclass(frozen=True)
class Opener:
    """Opens the models of what was pointed at, and says what was guessed."""

    source: str | Path
    settings: dict[str, Any]
    quiet: bool

    @property
    def name(self) -> str:
        """What the model is called on pages and in JSON."""
        if isinstance(self.source, str):
            return self.source
        # A name of a file may be no UTF-8.
        return os.fsencode(self.source.resolve().name).decode("utf-8", "replace")

    def open(self, role: Role) -> LoadedModel:
        """Open one of the models."""
        from electra_convert.cli.printing import print_message
        from electra_convert.demo.models import open_model

        model = open_model(self.source, role, **self.settings)
        for notice in () if self.quiet else model.notices:
            print_message("Note", notice)
        return model


@click.command("demo", short_help="Show which words look replaced, or fill in masks.")
@click.argument("model", type=parse_source)
@click.argument("sentences", metavar="[SENTENCE]...", nargs=-1)
@click.option("--file", type=PATH, metavar="FILE", help="Score every line of a file; - stands for standard input.")
@click.option("--words", is_flag=True, help="Show whole words, each with the highest probability among its tokens.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    callback=require_number,
    default=0.5,
    show_default=True,
    help="Call a token replaced where its probability is higher.",
)
@click.option(
    "--original", metavar="TEXT", help="The unchanged sentence: show what was replaced, and whether it was noticed."
)
@click.option(
    "--corrupt",
    type=Share(),
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
@click.option("--table/--no-table", default=True, help="Whether to show the probability of every token.")
@click.option("--html", type=PATH, metavar="FILE", help="Also write the result as a web page that needs no network.")
@click.option("--overwrite", is_flag=True, help="Replace the file of --html if it exists.")
@click.option("--web", is_flag=True, help="Serve an interactive page, to this computer alone, until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port of --web. By default, any free one.")
@click.option(
    "--generator",
    type=parse_source,
    metavar="FOLDER",
    help="The generator that goes with MODEL, when MODEL is a discriminator alone.",
)
@click.option("--vocab", type=PATH, metavar="FILE", help="The vocabulary. By default, the one beside the model.")
@config_options
@output_options
def command(
    model: str | Path,
    generator: str | Path | None,
    vocab: Path | None,
    hparams: str | None,
    config: Path | None,
    **asked: Any,  # noqa: ANN401 - the fields of Request
) -> None:
    """Show which tokens of each [SENTENCE]... the discriminator of MODEL believes were replaced.

    MODEL may be anything that convert takes as SOURCE, and need not be converted first. If no sentence is given, each
    line of standard input is one.
    """
    request = Request(**asked)
    request.check()
    refuse_idle_options(request)
    prepare_hub(request.quiet or request.as_json)
    settings = {"generator": generator, "vocab": vocab, "hparams": hparams, "config": config}
    opener = Opener(model, settings, request.quiet or request.as_json)
    if request.web:
        _serve(opener, request)
    elif request.fill is not None:
        _fill(opener, request)
    else:
        _show(opener, request)


def _show(opener: Opener, request: Request) -> None:
    from electra_convert.cli.demo_printing import Printer
    from electra_convert.demo.html import report_page
    from electra_convert.demo.results import Report
    from electra_convert.pages import check_page, save_page

    if request.html is not None:
        check_page(request.html, request.overwrite)
    texts = _texts(request)
    unit: Unit = "word" if request.words else "token"
    report = Report(opener.name, request.threshold, unit, (), None)
    printer = Printer(report, table=request.table, quiet=request.quiet, patient=request.html is not None)
    judged = []
    for one in _judged(opener, request, texts):
        judged.append(one)
        if not request.as_json:
            printer.text(one)
    report = Report(report.model, report.threshold, unit, tuple(judged), _evaluation(judged, request))
    if request.as_json:
        printer.whole(report)
    else:
        printer.evaluation(report)
    if request.html is not None:
        save_page(request.html, report_page(report), request.overwrite)
    printer.close()


def _judged(opener: Opener, request: Request, texts: Iterable[Labelled]) -> Iterator[Judged]:
    from electra_convert.demo.judging import judge, judge_corrupted, judge_edited

    discriminator = opener.open("discriminator")
    if request.original is not None:
        yield judge_edited(discriminator, request.original, request.sentences[0])
    elif request.corrupt is not None:
        yield from judge_corrupted(discriminator, opener.open("generator"), texts, request.corrupt, request.seed)
    else:
        yield from judge(discriminator, texts)


def _evaluation(judged: list[Judged], request: Request) -> Any:  # noqa: ANN401 - an Evaluation or None
    from electra_convert.demo.truth import evaluate

    if request.corrupt is None:
        return None
    return evaluate([(one.scored, one.truth) for one in judged if one.truth is not None], request.threshold)


def _fill(opener: Opener, request: Request) -> None:
    from electra_convert.cli.printing import print_json, print_result
    from electra_convert.demo.filling import fill
    from electra_convert.demo.results import filling_fields
    from electra_convert.demo.terminal import filling_lines

    texts = [one.text for one in _texts(request)]
    fillings = fill(opener.open("generator"), texts, request.fill or 1)
    if request.as_json:
        print_json(filling_fields(opener.name, texts, fillings))
        return
    parts = [filling_lines(text, found) for text, found in zip(texts, fillings, strict=True)]
    print_result("\n\n".join("\n".join(part) for part in parts))


def _texts(request: Request) -> list[Labelled]:
    from electra_convert.demo.judging import labelled, read_lines

    if request.sentences:
        return labelled(request.sentences)
    if request.file is None and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError("there is no sentence", 'Give one: electra-convert demo MODEL "The quick brown fox"')
    if request.file in {None, Path("-")}:
        return read_lines(sys.stdin.buffer.read(), "standard input")
    assert request.file is not None
    return read_lines(request.file.read_bytes(), str(request.file))


def _serve(opener: Opener, request: Request) -> None:
    from electra_convert.cli.printing import print_message, print_result
    from electra_convert.demo.models import roles_of
    from electra_convert.demo.web.app import Settings
    from electra_convert.demo.web.server import listen, require_server, serve

    require_server()
    with listen(request.port) as socket:
        roles = roles_of(opener.source, opener.settings["generator"])
        settings = Settings(opener.name, request.threshold, request.words, *request.sentences[:1])
        discriminator = opener.open("discriminator")
        generator = opener.open("generator") if "generator" in roles else None
        # Once the address is told, Ctrl-C is no failure.
        with suppress(KeyboardInterrupt):
            print_result(f"http://127.0.0.1:{socket.getsockname()[1]}/")
            if not request.quiet:
                print_message("Note", "only this machine can reach the page; Ctrl-C ends it.")
            serve(socket, discriminator, generator, settings)
