"""electra-convert upload, and what it shows before and after, in words and in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.account import upload_planned
from electra_convert.cli.guide import Guide, GuidedCommand
from electra_convert.cli.printing import as_text, print_json, print_message, print_result, table
from electra_convert.cli.shared import metadata_options, output_options, prepare_hub
from electra_convert.cli.values import PATH
from electra_convert.errors import UsageError, counted

if TYPE_CHECKING:
    from electra_convert.hub.card.model_folder import PublishedFile
    from electra_convert.hub.plan import UploadOptions
    from electra_convert.hub.upload import Upload

GUIDE = Guide(
    arguments={
        "REPO_ID": "OWNER/NAME on the Hub. The models of a pair go to NAME-discriminator and NAME-generator.",
        "FOLDER": "A transformers model that was verified with --save, or made by pretrain or finetune; or a folder "
        "of a pair; or a page of convert --to web.",
    },
    groups={
        "Where": "plan revision create-pr private",
        "What the card says": "license language",
        "Checks": "unverified dry-run",
        "Output": "json quiet",
    },
    examples=(
        "electra-convert upload my-name/electra-small my-electra --dry-run",
        "electra-convert upload my-name/electra-small my-electra --license mit",
        "electra-convert upload my-name/my-tagger my-run/model",
        "electra-convert upload --plan plan.json --create-pr --dry-run",
    ),
    page="docs/hub.md",
)


@click.command(
    "upload", cls=GuidedCommand, guide=GUIDE, short_help="Upload a verified model to the Hugging Face Hub."
)
@click.argument("repo_id", required=False)
@click.argument("folder", type=PATH, required=False)
@click.option(
    "--plan",
    type=PATH,
    metavar="FILE",
    help="Convert, verify and upload what inspect hf://OWNER --plan FILE has planned; no REPO_ID and FOLDER.",
)
@click.option(
    "--revision", default="main", metavar="BRANCH", help="The branch to commit to, created if it does not exist."
)
@click.option("--create-pr", is_flag=True, help="Open a pull request, or add to the one that an earlier run opened.")
@click.option(
    "--private/--public",
    "private",
    default=None,
    help="Who can see a new repository. By default, the account's settings decide.",
)
@metadata_options
@click.option("--commit-message", metavar="TEXT", help="The title of the commit, and of a pull request.")
@click.option("--include-optimizer", is_flag=True, help="Upload optimizer.safetensors too.")
@click.option("--include-pickles", is_flag=True, help="Upload pytorch_model.bin too.")
@click.option("--unverified", is_flag=True, help="Upload without a passed parity.json; the card will say so.")
@click.option(
    "--overwrite-card",
    is_flag=True,
    help="Replace the card on the Hub even if README.md in FOLDER lacks lines of it.",
)
@click.option(
    "--token",
    metavar="TOKEN",
    help="An access token. Better set HF_TOKEN or run `hf auth login`: other users can see a command's arguments.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be uploaded where, and send nothing.")
@output_options
def command(
    repo_id: str | None,
    folder: Path | None,
    plan: Path | None,
    license: str | None,
    language: tuple[str, ...],
    base_model: str | None,
    as_json: bool,
    quiet: bool,
    **options: Any,  # noqa: ANN401 - the other fields of UploadOptions
) -> None:
    """Upload FOLDER, a verified transformers model, to REPO_ID (OWNER/NAME) on the Hugging Face Hub.

    A pair goes to two repositories, REPO_ID-discriminator and REPO_ID-generator. Each model is uploaded in a single
    commit, and every file is then checked on the Hub by size and hash. An interrupted upload continues when the
    command is run again; if nothing has changed, nothing is committed. A page that convert --to web made goes to a
    static Space in the same way.

    With --plan, the same is done for each repository of the plan, whose model is downloaded and converted first.
    """
    from electra_convert.hub.card.metadata import Metadata
    from electra_convert.hub.plan import UploadOptions
    from electra_convert.hub.upload import run_upload

    def tell(text: str) -> None:
        if not quiet:
            print_message("Note", text)

    def show(upload: Upload) -> None:
        if not quiet and not as_json and not options["dry_run"]:
            click.echo(plan_text(upload), err=True)

    told = UploadOptions(Metadata(license, language, base_model), **options)
    if plan is not None:
        _require_planned(repo_id, told)
        upload_planned(plan, told, as_json, quiet)
        return
    if repo_id is None or folder is None:
        raise UsageError(f"{'REPO_ID' if repo_id is None else 'FOLDER'} is missing", "Or give --plan FILE.")
    if Path(repo_id).is_dir() and not folder.exists():
        raise UsageError(
            f"{repo_id} is a folder, and stands where the repository's name belongs",
            f"The repository comes first: electra-convert upload {folder} {repo_id}",
        )
    prepare_hub(quiet or as_json)
    done = run_upload(repo_id, folder, told, show, tell)
    if as_json:
        print_json(upload_fields(done))
        return
    if quiet and not options["dry_run"]:
        print_result(as_text(one.url for one in done))
        return
    print_result(upload_text(done))
    for one in done:
        for line in one.plan.card.notices:
            tell(line)


def _require_planned(repo_id: str | None, options: UploadOptions) -> None:
    """Refuse what is of one upload, where a plan says what goes where."""
    of_one = {
        "REPO_ID": repo_id,
        "--revision": options.revision != "main",
        "--private": options.private is not None,
        "--base-model": options.metadata.base_model,
        "--commit-message": options.commit_message,
        "--include-optimizer": options.include_optimizer,
        "--include-pickles": options.include_pickles,
        "--unverified": options.unverified,
    }
    if given := [name for name, value in of_one.items() if value]:
        raise UsageError(f"{given[0]} is for one upload; with --plan, the plan says what goes where")


def plan_text(upload: Upload) -> str:
    """What is shown of an upload before its first byte is sent."""
    plan = upload.plan
    lines = [
        f"{plan.repo_id}, {upload.revision}, {_visibility(upload)}",
        plan.line,
        *table([(f"{file.size:,}", file.name, _state(upload, file)) for file in plan.files]),
        *(f"  removes {name}, of the model before" for name in upload.removed),
        *(f"  leaves {name}" for name in plan.left),
    ]
    return as_text(lines)


def upload_text(done: Sequence[Upload]) -> str:
    """What `upload` prints."""
    return "\n\n".join(_dry(one) if one.dry_run else _done(one) for one in done)


def upload_fields(done: Sequence[Upload]) -> dict[str, Any]:
    """What `upload --json` prints."""
    return {"uploads": [_fields(one) for one in done]}


def _fields(one: Upload) -> dict[str, Any]:
    plan = one.plan
    return {
        "repo_id": plan.repo_id,
        "role": plan.role,
        "revision": one.revision,
        "private": one.private,
        "new": one.new,
        "verification": plan.card.verification,
        "files": {file.name: file.size for file in plan.files},
        "sent": one.sent,
        "removed": one.removed,
        "left": plan.left,
        "commit": one.commit,
        "url": one.url,
        "notices": plan.card.notices,
        "dry_run": one.dry_run,
    }


def _dry(upload: Upload) -> str:
    return f"Would upload to {plan_text(upload)}\n\n{as_text(upload.plan.card.text.splitlines())}"


def _done(one: Upload) -> str:
    checked = f"all {counted(len(one.plan.files), 'file')} found there by size and hash"
    if one.sent or one.removed:
        what = f"{counted(len(one.sent), 'file')} sent, {checked}"
    else:
        what = f"no commit, nothing changed: {checked}"
    return as_text([one.url, f"  {one.plan.repo_id} at {one.commit}: {what}"])


def _visibility(upload: Upload) -> str:
    if upload.new is None:
        return "a repository that was not looked up (offline)"
    shown = {True: "private", False: "public", None: "visible as the account's default has it"}[upload.private]
    return f"a new repository, {shown}" if upload.new else f"a repository that is there, {shown}"


def _state(upload: Upload, file: PublishedFile) -> str:
    """What is not to be expected of a file; a link may lead to what nobody meant to publish."""
    words = [] if file.name in upload.sent else ["there already"]
    if isinstance(file.source, Path) and file.source.is_symlink():
        words.append(f"a link to {file.source.resolve()}")
    return f"({', '.join(words)})" if words else ""
