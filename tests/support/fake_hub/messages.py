"""What a route is asked, and what it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from support.fake_hub.repositories import TOKENS, RefusedError


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    base: str
    token: str | None

    @property
    def user(self) -> str | None:
        if self.token is not None and self.token not in TOKENS:
            raise RefusedError(401, "Invalid credentials in Authorization header")
        return TOKENS[self.token][0] if self.token else None

    @property
    def role(self) -> str | None:
        return TOKENS[self.token][1] if self.token in TOKENS else None

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})
