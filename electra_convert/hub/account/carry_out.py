"""A plan carried out: each repository's model converted, verified and proposed, once; one that fails stops none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from electra_convert.conversion.convert import run_conversion
from electra_convert.conversion.options import Options
from electra_convert.errors import ElectraConvertError, HubError, MissingPackageError, UsageError, reported
from electra_convert.formats.names import CONFIG_FILE
from electra_convert.hub.account.journal import Journal, open_journal
from electra_convert.hub.account.plan import Plan, Step
from electra_convert.hub.client import Hub, Tell
from electra_convert.hub.download import SCHEME
from electra_convert.hub.plan import UploadOptions
from electra_convert.hub.repository import MAIN, account_name, list_revision
from electra_convert.hub.upload import run_upload

# The same in every run, by which a pull request is found again; the mark says what it was made of.
TITLE = "Convert the model with electra_convert"
# done: it was sent now; there: it was sent before; changed: what is there is no longer what was planned for.
State = Literal["done", "there", "planned", "closed", "changed", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one repository.

    Attributes:
        repo: OWNER/REPO.
        state: done, or why not.
        url: where it is to be seen, or None.
        error: what failed, or None.
    """

    repo: str
    state: State
    url: str | None = None
    error: ElectraConvertError | None = None

    @property
    def has_failed(self) -> bool:
        """Whether somebody has to look at it."""
        return self.state in {"changed", "failed"}


Told = Callable[[int, int, Outcome], None]


def carry_out(
    plan: Plan, path: Path, options: UploadOptions, tell: Tell, told: Told = lambda *_: None
) -> tuple[Outcome, ...]:
    """Do what a plan says, in its order.

    Args:
        plan: what was read of it.
        path: its file, beside which a journal is kept, and conversions until they are sent.
        options: of each upload; create_pr has a pull request opened, where main would be committed to.
        tell: told what is waited for.
        told: told of each repository as it is done.

    Returns:
        What became of each; an interrupted run goes on where it stopped.

    Raises:
        UsageError: the plan is of another Hub.
        HubError: there is no token that can write.
        OutputError: nothing can be written beside the plan.
    """
    hub = Hub(options.token, tell)
    if hub.endpoint != plan.endpoint:
        raise UsageError(f"{path} is of {plan.endpoint}, and HF_ENDPOINT is {hub.endpoint}", "Set it to that.")
    author = account_name(hub) if hub.has_token or not options.dry_run else None
    if options.dry_run:
        return tuple(_each(plan, lambda step: _planned(hub, step, author), told))
    with open_journal(path) as journal:
        run = _Run(hub, str(author), journal, options, tell)
        return tuple(_each(plan, run.do, told))


def _each(plan: Plan, do: Callable[[Step], Outcome], told: Told) -> Iterator[Outcome]:
    for number, step in enumerate(plan.convert, 1):
        try:
            outcome = do(step)
        except MissingPackageError:
            raise  # all others would fail by it as well
        except KeyboardInterrupt as interrupt:
            at = f"{step.repo}, {number} of {len(plan.convert)}"
            interrupt.add_note(f"It was at {at}; the same command goes on there.")
            raise
        except Exception as error:  # noqa: BLE001 - told at the end; the others are done
            outcome = Outcome(step.repo, "failed", error=reported(error))
        told(number, len(plan.convert), outcome)
        yield outcome


def _planned(hub: Hub, step: Step, author: str | None) -> Outcome:
    """What would be done; without an account, whether it is done already is not known."""
    found = found_there(hub, step, author) if author else None
    return found or (Outcome(step.repo, "planned") if _is_at(hub, step) else _changed(step))


def _is_at(hub: Hub, step: Step) -> bool:
    there = list_revision(hub, step.repo, MAIN)
    return there is not None and there.head == step.commit


def _changed(step: Step) -> Outcome:
    error = HubError(
        f"main of {step.repo} is no longer {step.commit}, which was planned for",
        f"Look at it again: electra-convert inspect {SCHEME}{step.repo} --plan FILE.",
    )
    return Outcome(step.repo, "changed", error=error)


def mark_of(step: Step) -> str:
    """What a commit that was made for a step says, by which it is known again."""
    return f"Made of {SCHEME}{step.repo}@{step.commit}"


def found_there(hub: Hub, step: Step, author: str) -> Outcome | None:
    """What an earlier run of an account has sent, as the Hub says; None where it has sent nothing."""
    page = f"{hub.endpoint}/{step.repo}"
    for number, status in _proposals(hub, step, author):
        if _is_marked(hub, step, f"refs/pr/{number}"):
            return Outcome(step.repo, "closed" if status == "closed" else "there", f"{page}/discussions/{number}")
    return Outcome(step.repo, "there", page) if _is_marked(hub, step, MAIN) else None


def _proposals(hub: Hub, step: Step, author: str) -> list[tuple[int, str]]:
    """The pull requests that an account has opened for a plan, the newest first, of any state."""
    found = hub.ask(
        f"looking for pull requests of {step.repo}",
        lambda: list(hub.api.get_repo_discussions(step.repo, author=author, discussion_type="pull_request")),
    )
    own = [one for one in found if one.is_pull_request and one.author == author and one.title == TITLE]
    return sorted(((one.num, one.status) for one in own), reverse=True)


def _is_marked(hub: Hub, step: Step, revision: str) -> bool:
    commits = hub.ask(
        f"looking at the commits of {step.repo} at {revision}",
        lambda: hub.api.list_repo_commits(step.repo, revision=revision),
    )
    return any(mark_of(step) in str(commit.message).splitlines() for commit in commits)


def _remark(step: Step) -> str:
    """What the description of a pull request says behind its proof: how to repeat it, and the mark."""
    model = f"{SCHEME}{step.repo}"
    return (
        f"Anybody can repeat the conversion, and have every file compared: `electra-convert verify {model}`, once it "
        f"is merged; before, `electra-convert verify {model}@refs/pr/N` with the number of this pull request for N."
        f"\n\n{mark_of(step)}"
    )


class _Run:
    """One run of a plan."""

    def __init__(self, hub: Hub, author: str, journal: Journal, options: UploadOptions, tell: Tell) -> None:
        self._hub, self._author, self._journal, self._options, self._tell = hub, author, journal, options, tell

    def do(self, step: Step) -> Outcome:
        """Do one step, unless it is done."""
        if url := self._journal.url_of(step.repo, step.commit):
            return Outcome(step.repo, "there", url)
        outcome = found_there(self._hub, step, self._author)
        if outcome is None:
            outcome = self._sent(step) if _is_at(self._hub, step) else _changed(step)
        if outcome.url is not None and outcome.state != "closed":
            self._journal.note(step.repo, step.commit, outcome.url)
            shutil.rmtree(self._folder(step), ignore_errors=True)
        return outcome

    def _sent(self, step: Step) -> Outcome:
        """Convert, verify and send it."""
        folder = self._folder(step)
        if not folder.exists():  # it appears whole, and verified, or not at all
            options = Options(model=step.model, to="safetensors", verify=True)
            source = f"{SCHEME}{step.repo}@{step.commit}"
            run_conversion(source, folder, options, None, self._options.token)
        if not (folder / CONFIG_FILE).is_file():
            raise UsageError(
                f"{step.repo} holds more than one model, and the plan does not say which is converted",
                "Say discriminator or generator in the place of its model.",
            )
        told = replace(self._options, commit_message=TITLE, remark=_remark(step))
        [upload] = run_upload(step.repo, folder, told, lambda _: None, self._tell)
        return Outcome(step.repo, "done", upload.url)

    def _folder(self, step: Step) -> Path:
        return self._journal.folder / f"{step.repo.replace('/', '--')}@{step.commit[:12]}"
