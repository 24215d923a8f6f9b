"""convert --to web: a model converted into ONNX, and laid out in a folder with all that its page needs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from electra_convert.checkpoint import open_path
from electra_convert.conversion.convert import Conversion, run_conversion
from electra_convert.conversion.options import Options
from electra_convert.conversion.parts import choose_roles
from electra_convert.demo.tasks import TASKS
from electra_convert.errors import NamesError, UsageError, listing
from electra_convert.hub.download import local_source, parse_address
from electra_convert.output import check_target, new_folder, write_file
from electra_convert.schemes.heads import PRETRAINING
from electra_convert.schemes.mapping import Role
from electra_convert.site.pages import Site
from electra_convert.site.parts import parts_of_folders
from electra_convert.site.runtime import runtime_archive, runtime_files
from electra_convert.tensors.transfer import Progress

_MODELS = ".models"  # where they are converted, before their files are taken to their places
_BESIDE = "Beside these files there will be those of the page, and its runtime of 14 MB."


def run_site(
    pointed_at: str | Path, output: Path, title: str, options: Options, progress: Progress | None = None
) -> Conversion:
    """Convert a model into a folder that any static server serves as a page.

    Args:
        pointed_at: anything that convert takes.
        output: the folder to make, whole or not at all.
        title: what the model is called on its page.
        options: what its conversion into ONNX is told.
        progress: as of run_conversion.

    Raises:
        ElectraConvertError: nothing has been written; the message says why.
    """
    if options.tokenizer.no_tokenizer:
        raise UsageError("--no-tokenizer does not go with --to web: the page cuts texts into tokens")
    options.check("onnx")
    source = local_source(pointed_at, code=options.keep_custom_code)
    kind, roles = _shown(source, options)
    check_target(output, source, options.overwrite, options.inputs)
    if options.dry_run:
        planned = run_conversion(pointed_at, output, options)
        return replace(planned, to="web", notices=(*planned.notices, _BESIDE))
    archive = runtime_archive()
    with new_folder(output, options.overwrite) as folder:
        models = folder / _MODELS
        converted = run_conversion(pointed_at, models, replace(options, overwrite=False), progress)
        folders = {role: models / role if len(roles) > 1 else models for role in roles}
        parts = parts_of_folders(folders, title, kind in TASKS)
        site = Site(title, kind, parts, _on_hub(pointed_at))
        files = site.files(runtime_files(archive))
        sizes = {name: _put(folder / name, content) for name, content in files.items()}
        shutil.rmtree(models)
    return replace(converted, source=pointed_at, output=output, to="web", files=dict(sorted(sizes.items())))


def _shown(source: Path, options: Options) -> tuple[str, tuple[Role, ...]]:
    """The head of the model that the page is for, and which models it takes.

    Raises:
        NamesError: there is no page for such a model.
    """
    with open_path(source, options.generator, options.task, options.exclude) as checkpoint:
        if options.task is None and (several := checkpoint.separate_tasks):
            raise UsageError(
                f"{source} was fine-tuned for several tasks: {listing(several)}",
                f"A page is for one of them: --task {several[0]}.",
            )
        roles = choose_roles(checkpoint, options.model)
        head = checkpoint.models[roles[0]].head
    if roles[0] == "generator" or (head is not PRETRAINING["discriminator"] and head.name not in TASKS):
        raise NamesError(
            f"{source}: the page scores words, or answers as a fine-tuned model does, and this has neither head",
            "Give the discriminator, or the folder of both models (the generator suggests words beside it), or a "
            f"model fine-tuned for {listing([str(task.head.kind) for task in TASKS.values()])}.",
        )
    return head.name, roles


def _on_hub(pointed_at: str | Path) -> list[str]:
    return [parse_address(pointed_at).repo_id] if isinstance(pointed_at, str) else []


def _put(place: Path, content: Path | bytes) -> int:
    """Write a file, or move it where it belongs; gives its size in bytes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        write_file(place, content)
    else:
        content.replace(place)
    return place.stat().st_size
