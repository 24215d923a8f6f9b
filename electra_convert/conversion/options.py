"""What a conversion may be told, and which of it goes together; the same for the command line and for Python."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

from electra_convert.errors import UsageError
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

Target = Literal["safetensors", "torch", "tf"]
Selection = Literal["discriminator", "generator", "both"]
Rounding = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True)
class Options:
    """The options of convert; None where the tool is to find out.

    Attributes:
        model: which model to write.
        to: the container to write.
        generator: a folder with the generator that belongs to a discriminator.
        hparams: google-research/electra's hparams: JSON, or the name of a file that holds it.
        config: a transformers config.json.
        vocab: a vocabulary file.
        pad_vocab: accept a vocabulary with fewer pieces than the embeddings have rows.
        lower_case: whether the tokenizer lower-cases.
        strip_accents: whether the tokenizer strips accents.
        dtype: round the weights to this dtype.
        max_shard_size: the longest file of weights, in bytes.
        optimizer: carry the optimiser's slots and the step over.
        zero_optimizer: write slots of zeros.
        prefix: the name of a TensorFlow checkpoint, without its step.
        allow_nonfinite: accept NaN and infinite weights.
        overwrite: replace an existing output.
        verify: compare what was written with the source before it gets its name, and keep the report in it.
        dry_run: say what would be written, and write nothing.
    """

    model: Selection | None = None
    to: Target | None = None
    generator: Path | None = None
    hparams: str | None = None
    config: Path | None = None
    vocab: Path | None = None
    pad_vocab: bool = False
    lower_case: bool | None = None
    strip_accents: bool | None = None
    dtype: Rounding | None = None
    max_shard_size: int | None = None
    optimizer: bool = False
    zero_optimizer: bool = False
    prefix: str | None = None
    allow_nonfinite: bool = False
    overwrite: bool = False
    verify: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        for name, kind in (("model", Selection), ("to", Target), ("dtype", Rounding)):
            value, choices = getattr(self, name), get_args(kind)
            if value is not None and value not in choices:
                raise UsageError(f"--{name} is {value!r}, expected {', '.join(choices[:-1])} or {choices[-1]}")
        if self.max_shard_size is not None and self.max_shard_size < 1:
            raise UsageError(f"--max-shard-size is {self.max_shard_size}, expected 1 byte or more")
        if self.optimizer and self.zero_optimizer:
            raise UsageError("--optimizer carries slots over, --zero-optimizer makes new ones: give one of them")
        if self.verify and self.dry_run:
            raise UsageError("--verify compares what was written, and --dry-run writes nothing: give one of them")

    @property
    def tokenizer(self) -> TokenizerOptions:
        """Those that are about the tokenizer."""
        return TokenizerOptions(self.vocab, self.pad_vocab, self.lower_case, self.strip_accents)

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files and folders that options name."""
        text = self.hparams or ""
        hparams = Path(text) if text.strip() and not text.lstrip().startswith("{") else None
        return tuple(path for path in (self.generator, self.config, self.vocab, hparams) if path is not None)

    def check(self, target: Target) -> None:
        """Refuse options that do not go together.

        Args:
            target: the container that is to be written.

        Raises:
            UsageError: names the options.
        """
        if target == "tf":
            self._check_tensorflow()
        else:
            self._check_transformers(target)

    def _check_tensorflow(self) -> None:
        if self.dtype not in {None, "float32"}:
            raise UsageError(f"--dtype {self.dtype} does not go with --to tf: Google's code reads float32 only")
        if self.strip_accents is not None:
            raise UsageError(
                "--[no-]strip-accents does not go with --to tf: Google's code strips when it lower-cases"
            )
        if self.max_shard_size is not None:
            raise UsageError(
                "--max-shard-size does not go with --to tf: one data file is written, as Google's code does"
            )
        if self.prefix is not None and not re.fullmatch(r"[\w.+=@~-]+", self.prefix):
            raise UsageError(f"--prefix {self.prefix!r} is not a plain file name", "Use one such as model.ckpt.")

    def _check_transformers(self, target: Target) -> None:
        for given, name in ((self.zero_optimizer, "--zero-optimizer"), (self.prefix is not None, "--prefix")):
            if given:
                raise UsageError(f"{name} goes with --to tf, not with --to {target}")


def parse_size(text: str) -> int:
    """Read a file size as people write it.

    Args:
        text: a number of bytes, with a unit where wanted: KB, MB, GB, TB are powers of 1000, KiB, MiB, GiB, TiB of
            1024.

    Returns:
        The size in bytes.

    Raises:
        UsageError: it is not a size, or it is zero.
    """
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,6})?)\s*(?:([KMGT])(i?)B?|B)?\s*", text, re.IGNORECASE)
    units = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
    size = 0
    if match:
        base = 1024 if match[3] else 1000
        size = int(Fraction(match[1]) * base ** units[(match[2] or "").lower()])
    if not size:
        raise UsageError(f"{text!r} is not a size", "Write it as 500MB, 2GB or 1GiB.")
    return size


def hparams_text(given: str | Path | Mapping[str, Any] | None) -> str | None:
    """Hparams as the command line takes them: JSON, or the name of a file that holds it."""
    if isinstance(given, Mapping):
        return json.dumps(dict(given))
    return str(given) if isinstance(given, Path) else given


def make_options(given: Mapping[str, Any]) -> Options:
    """Make options of what a Python caller finds natural to pass.

    Args:
        given: fields of Options; paths may be text, hparams a mapping, and max_shard_size a size as people write it.

    Returns:
        The options.

    Raises:
        UsageError: a value is not one of those an option takes.
    """
    fields = dict(given)
    if unknown := fields.keys() - Options.__dataclass_fields__.keys():
        raise UsageError(f"unknown options: {', '.join(sorted(unknown))}")
    for name in ("generator", "config", "vocab"):
        try:
            fields[name] = None if fields.get(name) is None else Path(fields[name])
        except TypeError as error:
            raise UsageError(f"{name} is {fields[name]!r}, expected a path") from error
    fields["hparams"] = hparams_text(fields.get("hparams"))
    if isinstance(fields.get("max_shard_size"), str):
        fields["max_shard_size"] = parse_size(fields["max_shard_size"])
    return Options(**fields)
