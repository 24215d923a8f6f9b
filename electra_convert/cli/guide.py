"""How a command is explained: its arguments, the options most people need in groups, examples, and the rest of the
options for those who ask for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

_WIDEST = 24  # of what has its explanation beside it, and not below
_ALL = "electra_convert.help_all"
HELP = ("-h", "--help")


@dataclass(frozen=True)
class Guide:
    """What the help of a command says beside its docstring and its options' own words.

    Attributes:
        arguments: what each argument is, by its name in the line of usage.
        groups: the options that --help shows, by heading, as their long names without dashes, parted by spaces.
        examples: commands as one would type them.
        page: the document that tells more.
    """

    arguments: Mapping[str, str]
    groups: Mapping[str, str]
    examples: Sequence[str]
    page: str


class GuidedCommand(click.Command):
    """A command with a guide."""

    def __init__(self, *args: Any, guide: Guide, **kwargs: Any) -> None:  # noqa: ANN401 - click.Command's own
        # Said of each: click keeps the option that it makes first, which of a command by itself would have one name.
        kwargs.setdefault("context_settings", {"help_option_names": HELP})
        super().__init__(*args, **kwargs)
        self.guide = guide

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters, with --help-all."""
        return [*super().get_params(ctx), _HELP_ALL]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; a mistake in them tells its command, which click's parser leaves out here and there."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def _rest(self, parameters: Sequence[click.Parameter]) -> list[str]:
        """The options that only --help-all shows, in their order."""
        shown = {"help", "help-all", *" ".join(self.guide.groups.values()).split()}
        return [name for name in _options(parameters) if name not in shown]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments and the options, which fill the place that click has for options alone."""
        parameters = self.get_params(ctx)
        options, rest = _options(parameters), self._rest(parameters)
        groups = {heading: names.split() for heading, names in self.guide.groups.items()}
        if rest and _ALL in ctx.meta:
            groups["More options"] = rest
        groups["Help"] = ["help", "help-all"] if rest else ["help"]
        if self.guide.arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(list(self.guide.arguments.items()))
        records = {
            heading: [record for name in names if (record := options[name].get_help_record(ctx))]
            for heading, names in groups.items()
        }
        width = max(len(first) for group in records.values() for first, _ in group if len(first) <= _WIDEST)
        for heading, group in records.items():
            with formatter.section(heading):
                formatter.write_dl([(first.ljust(width), told) for first, told in group], col_max=width)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, and where there is more."""
        with formatter.section("Examples"):
            for line in self.guide.examples:
                formatter.write(f"  {line}\n")
        formatter.write(f"\nMore: {self.guide.page}\n")


def long_name(parameter: click.Parameter) -> str:
    """An option's long name without its dashes, the one that says yes."""
    return max(parameter.opts, key=len).lstrip("-")


def _options(parameters: Sequence[click.Parameter]) -> dict[str, click.Option]:
    return {long_name(one): one for one in parameters if isinstance(one, click.Option)}


def _show_all(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


_HELP_ALL = click.Option(
    ["--help-all"], is_flag=True, expose_value=False, is_eager=True, callback=_show_all, help="Show all options."
)
