"""What is said of one model among many, in values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from electra_convert.schemes.mapping import Role

# nothing: it is as it should be; convert: this tool can make it so; by hand: it could, but somebody has to choose;
# leave: it is no ELECTRA model; look: it could not be looked at, or contradicts itself.
Action = Literal["nothing", "convert", "by hand", "leave", "look"]
# verified: by a record of this tool whose hashes are those of the files; recorded: the same, its weights not hashed;
# of other files: by a record of files as they were before.
ProofState = Literal["verified", "recorded", "pretrained", "fine-tuned", "of other files", "none"]


@dataclass(frozen=True)
class TokenizerFindings:
    """What is known of a tokenizer.

    Attributes:
        kind: the class that its files name, or what it is otherwise; None where nothing says.
        max_length: model_max_length, None where none is stated, or none that any model reaches.
        pieces: how many pieces its vocabulary has; None where it is no WordPiece's, or there is none.
        useless: how many of them no text gives.
        files: whether there are files to load it from.
    """

    kind: str | None = None
    max_length: float | None = None
    pieces: int | None = None
    useless: int | None = None
    files: bool = True


@dataclass(frozen=True)
class ModelRow:
    """What is said of a repository, or of a folder.

    Attributes:
        name: OWNER/REPO, or the folder's path within the one that was pointed at.
        action: what should be done.
        why: the reasons, a sentence each.
        commit: what was looked at; None of a folder.
        containers: those that weights lie in, the one that is read first.
        loads: the container by which from_pretrained of transformers 5 loads it; None where it does not.
        models: the class of each model in transformers, by role; empty where it is no ELECTRA model.
        fine_tuned: whether it has a task's head.
        converted: of a pair the model that belongs here; None where there is one, or none is to be converted.
        positions: the longest input.
        tokenizer: what is known of that.
        proof: whether it was shown to be its source's.
        error: why it could not be looked at, or None.
        size: of all its files together, in bytes.
        read: how many of these bytes were read.
    """

    name: str
    action: Action
    why: tuple[str, ...] = ()
    commit: str | None = None
    containers: tuple[str, ...] = ()
    loads: str | None = None
    models: Mapping[Role, str] = field(default_factory=dict)
    fine_tuned: bool = False
    converted: Role | None = None
    positions: int | None = None
    tokenizer: TokenizerFindings = TokenizerFindings(files=False)
    proof: ProofState = "none"
    error: str | None = None
    size: int = 0
    read: int = 0
