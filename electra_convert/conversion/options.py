"""What a conversion may be told, how people write it, and which of it goes together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from electra_convert.errors import UsageError
from electra_convert.hub.download import Origin
from electra_convert.schemes.family import ELECTRA, FAMILIES, Family
from electra_convert.schemes.layouts import Choice
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

Target = Literal["safetensors", "torch", "tf", "onnx"]
Selection = Literal["discriminator", "generator", "both"]
Rounding = Literal["float32", "float16", "bfloat16"]
Quantization = Literal["int8"]
ModelType = Literal["electra", "bert"]


@dataclass(frozen=True)
class Options:
    """The options of convert, as convert explains them; None where the tool is to find out.

    Attributes:
        generator_origin: where on the Hub the generator lay.
        hparams: JSON, or the name of a file that holds it.
        tokenizer: what is asked of the tokenizer.
        labels: the name of a file with one a line, names with commas between, or the names.
        max_shard_size: in bytes.
        exclude: patterns of names.
    """

    model: Selection | None = None
    to: Target | None = None
    model_type: ModelType = "electra"
    generator: Path | None = None
    generator_origin: Origin | None = None
    hparams: str | None = None
    config: Path | None = None
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)
    task: Choice | None = None
    labels: str | tuple[str, ...] | None = None
    dtype: Rounding | None = None
    quantize: Quantization | None = None
    max_shard_size: int | None = None
    optimizer: bool = False
    zero_optimizer: bool = False
    prefix: str | None = None
    exclude: tuple[str, ...] = ()
    keep_custom_code: bool = False
    allow_nonfinite: bool = False
    overwrite: bool = False
    verify: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        named = (("model", Selection), ("to", Target), ("model_type", ModelType), ("dtype", Rounding))
        for name, kind in named:
            value, choices = getattr(self, name), get_args(kind)
            if value is not None and value not in choices:
                option, others = name.replace("_", "-"), ", ".join(choices[:-1])
                raise UsageError(f"--{option} is {value!r}, expected {others} or {choices[-1]}")
        if self.quantize not in (None, *get_args(Quantization)):
            raise UsageError(f"--quantize is {self.quantize!r}, expected int8")
        if self.max_shard_size is not None and self.max_shard_size < 1:
            raise UsageError(f"--max-shard-size is {self.max_shard_size}, expected 1 byte or more")
        if self.optimizer and self.zero_optimizer:
            raise UsageError("--optimizer carries slots over, --zero-optimizer makes new ones: give one of them")
        if self.verify and self.dry_run:
            raise UsageError("--verify compares what was written, and --dry-run writes nothing: give one of them")

    @property
    def family(self) -> Family:
        """By whose names a transformers model is written."""
        return FAMILIES[self.model_type]

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files and folders that options name."""
        text = self.hparams or ""
        hparams = Path(text) if text.strip() and not text.lstrip().startswith("{") else None
        named = (self.generator, self.config, self.tokenizer.vocab, self.tokenizer.added_tokens, hparams)
        return tuple(path for path in named if isinstance(path, Path))

    def check(self, target: Target) -> None:
        """Refuse options that do not go with the container that is to be written."""
        if self.quantize and target != "onnx":
            raise UsageError(f"--quantize goes with --to onnx, not with --to {target}")
        if self.family is not ELECTRA:
            self._check_family(target)
        if target == "tf":
            self._check_tensorflow()
        else:
            self._check_transformers(target)

    def _check_family(self, target: Target) -> None:
        if target not in {"safetensors", "torch"}:
            raise UsageError(
                f"--model-type {self.model_type} does not go with --to {target}: it says what transformers calls the "
                "tensors"
            )
        if self.optimizer:
            raise UsageError(
                f"--optimizer does not go with --model-type {self.model_type}: nothing that knows these names "
                "continues ELECTRA's pretraining"
            )

    def _check_tensorflow(self) -> None:
        if self.dtype not in {None, "float32"}:
            raise UsageError(f"--dtype {self.dtype} does not go with --to tf: Google's code reads float32 only")
        if self.tokenizer.strip_accents is not None:
            raise UsageError(
                "--[no-]strip-accents does not go with --to tf: Google's code strips when it lower-cases"
            )
        if self.tokenizer.tokenize_chinese_chars is not None:
            raise UsageError("--[no-]tokenize-chinese-chars does not go with --to tf: Google's code splits them")
        if self.tokenizer.added_tokens is not None:
            raise UsageError("--added-tokens does not go with --to tf: Google's code knows none")
        if self.max_shard_size is not None:
            raise UsageError(
                "--max-shard-size does not go with --to tf: one data file is written, as Google's code does"
            )
        if self.keep_custom_code:
            raise UsageError("--keep-custom-code does not go with --to tf: Google's code runs none of it")
        if self.prefix is not None and not re.fullmatch(r"[\w.+=@~-]+", self.prefix):
            raise UsageError(f"--prefix {self.prefix!r} is not a plain file name", "Use one such as model.ckpt.")

    def _check_transformers(self, target: Target) -> None:
        for given, name in ((self.zero_optimizer, "--zero-optimizer"), (self.prefix is not None, "--prefix")):
            if given:
                raise UsageError(f"{name} goes with --to tf, not with --to {target}")
        if target == "onnx":
            self._check_onnx()

    def _check_onnx(self) -> None:
        if self.dtype not in {None, "float32"}:
            raise UsageError(f"--dtype {self.dtype} does not go with --to onnx: the model is one of float32")
        if self.max_shard_size is not None:
            raise UsageError(
                "--max-shard-size does not go with --to onnx: what is above 2 GB gets one file for all weights"
            )
        if self.optimizer:
            raise UsageError("--optimizer does not go with --to onnx: such a model is run, not trained")


def read_target(given: Target | Literal["tensorflow"] | None) -> Target | None:
    """A container by either of TensorFlow's names."""
    return "tf" if given == "tensorflow" else given


def lowers_case(cased: bool | None, uncased: bool | None) -> bool | None:
    """What --cased and --uncased say of lower-casing; None where neither is given."""
    if cased is not None and cased == uncased:
        raise UsageError("--cased and --uncased are each other's opposites: give one of them")
    return uncased if cased is None else not cased


def read_path(name: str, given: str | Path | None) -> Path | None:
    """A path that a Python caller gave."""
    try:
        return None if given is None else Path(given)
    except TypeError as error:
        raise UsageError(f"--{name} is {given!r}, expected a path") from error


def read_added_tokens(given: str | Path | Sequence[str] | None) -> Path | tuple[str, ...] | None:
    """Tokens as a Python caller gives them: the name of a file with one on each line, or the tokens."""
    return given if given is None else Path(given) if isinstance(given, str | Path) else tuple(given)


def read_patterns(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """One pattern of names or several, as a Python caller gave them."""
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def read_size(given: int | str | None) -> int | None:
    """A file size in bytes, also from text: KB, MB, GB, TB are powers of 1000, KiB, MiB, GiB, TiB of 1024.

    Raises:
        UsageError: the text is not a size, or is zero.
    """
    if not isinstance(given, str):
        return given
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,6})?)\s*(?:([KMGT])(i?)B?|B)?\s*", given, re.IGNORECASE)
    units = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
    size = 0
    if match:
        base = 1024 if match[3] else 1000
        size = int(Fraction(match[1]) * base ** units[(match[2] or "").lower()])
    if not size:
        raise UsageError(f"{given!r} is not a size", "Write it as 500MB, 2GB or 1GiB.")
    return size
