"""An output laid out: its containers with their tensors, and its small files; written by one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from electra_convert.errors import told_once
from electra_convert.output import new_folder, write_file
from electra_convert.tensors.spec import Sink, TensorSpec
from electra_convert.tensors.transfer import Move, Progress, counter, run
from electra_convert.tensors.weight import Weight


@dataclass(frozen=True)
class Container:
    """One container of an output.

    Attributes:
        folder: its folder within the output; "" for the output itself.
        files: the files it will be, with the bytes of the tensors in each; 0 for an index.
        entries: what goes into it, and how it is called there.
        open_sink: makes it in a folder.
    """

    folder: str
    files: Mapping[str, int]
    entries: Sequence[tuple[Weight, TensorSpec]]
    open_sink: Callable[[Path, Sequence[TensorSpec]], Sink]


@dataclass(frozen=True)
class OutputPlan:
    """All that an output is to hold: tensors, small files by path within it, and what its reader should know."""

    containers: tuple[Container, ...]
    files: Mapping[str, bytes]
    notices: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of its small files and of its tensors, without headers and indices, by path within the output."""
        sizes = {name: len(content) for name, content in self.files.items()}
        for box in self.containers:
            sizes |= {str(PurePosixPath(box.folder, name)): nbytes for name, nbytes in box.files.items()}
        return dict(sorted(sizes.items()))


def merged(plans: Mapping[str, OutputPlan]) -> OutputPlan:
    """One output of several, each in the folder of its name; one whose name is "" as it is."""
    containers = [
        replace(box, folder=str(PurePosixPath(name, box.folder)) if name else box.folder)
        for name, plan in plans.items()
        for box in plan.containers
    ]
    files = {
        str(PurePosixPath(name, file)): content
        for name, plan in plans.items()
        for file, content in plan.files.items()
    }
    notices = told_once({name: plan.notices for name, plan in plans.items()})
    warnings = told_once({name: plan.warnings for name, plan in plans.items()})
    return OutputPlan(tuple(containers), files, notices, warnings)


def write(
    plan: OutputPlan,
    target: Path,
    overwrite: bool,
    finite: bool,
    progress: Progress | None,
    inspect: Callable[[Path], None] = lambda _: None,
) -> dict[str, int]:
    """Write an output, whole or not at all.

    Progress is told bytes from several threads. The complete folder is inspected before it gets its name; what that
    raises leaves nothing behind.

    Returns:
        The size in bytes of every file written, by path within the output.

    Raises:
        SourceError: a data file is missing.
        CorruptFileError: a source failed its own checks.
        NamesError: a tensor is not finite.
        OutputError: the output could not be written.
    """
    with new_folder(target, overwrite) as folder:
        for name in sorted({str(Path(name).parent) for name in plan.files} | {box.folder for box in plan.containers}):
            (folder / name).mkdir(parents=True, exist_ok=True)
        write_containers([(box, folder / box.folder) for box in plan.containers], finite, progress)
        for name, content in plan.files.items():
            write_file(folder / name, content)
        inspect(folder)
        sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return dict(sorted(sizes.items()))


def write_containers(boxes: Sequence[tuple[Container, Path]], finite: bool, progress: Progress | None) -> None:
    """Write containers, each into a folder that is there; raises as write does."""
    with ExitStack() as stack:
        moves = []
        for box, folder in boxes:
            sink = stack.enter_context(box.open_sink(folder, [spec for _, spec in box.entries]))
            moves += [Move(weight, spec, sink) for weight, spec in box.entries]
        run(moves, finite, counter(sum(move.weight.tensor.nbytes for move in moves), progress))
