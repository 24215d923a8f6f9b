"""Who uploads, and whether a card would be accepted: asked before anything is sent."""

from __future__ import annotations

import json
from typing import Any

from electra_convert.errors import CardError, HubError
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.client import Hub
from electra_convert.hub.errors import OFFLINE


def account_name(hub: Hub) -> str:
    """Find out whose token it is.

    Args:
        hub: the Hub.

    Returns:
        The account's name.

    Raises:
        HubError: there is no token, it is not valid or can only read, or HF_HUB_OFFLINE is set.
    """
    if hub.is_offline:
        raise HubError(OFFLINE.message, OFFLINE.hint)
    if not hub.has_token:
        raise HubError(
            "there is no token to upload with",
            f"Log in with `hf auth login`, or set HF_TOKEN to a token of {hub.endpoint}/settings/tokens.",
        )
    answer: dict[str, Any] = hub.ask("checking the token", hub.api.whoami)
    role = answer.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read":
        raise HubError("the token can only read", f"Make one with write access at {hub.endpoint}/settings/tokens.")
    return str(answer["name"])


def require_valid_card(hub: Hub, text: str, where: str) -> None:
    """Ask the Hub whether it accepts a card.

    Args:
        hub: the Hub.
        text: the card.
        where: its file, for messages.

    Raises:
        CardError: it does not, and why.
        HubError: it does not say.
    """
    card = import_huggingface_hub("to upload a model").ModelCard(text)

    def validate() -> None:
        try:
            card.validate(repo_type="model")
        except ValueError as error:
            if getattr(error, "response", None) is not None:
                raise
            raise CardError(
                f"{where}: the Hub does not accept it: {_reasons(str(error))}", "Correct its front matter."
            ) from error

    hub.ask(f"validating {where}", validate)


def _reasons(answer: str) -> str:
    """What the Hub found, out of its JSON; all of the answer where it is none."""
    try:
        found = [str(one["message"]) for one in json.loads(answer)["errors"]]
    except (ValueError, KeyError, TypeError):
        found = [answer]
    return " ".join("; ".join(found).split())
