"""What tests of the Hub share: a Hub to speak to, through LFS or through Xet, and folders to upload."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from electra_convert import convert
from support.fake_hub.process import FakeHub, fake_hub_server
from support.fake_hub.programs import Programs, programs
from support.parity_records import write_parity

FIXTURES = Path(__file__).parent.parent.parent.parent / "fixtures"


@pytest.fixture(scope="session")
def hub_server() -> Iterator[str]:
    """The address of a Hub, one for a session."""
    with fake_hub_server() as base:
        yield base


@pytest.fixture(scope="session")
def hub_programs() -> Iterator[Programs]:
    """What runs commands against it."""
    with programs() as running:
        yield running


@pytest.fixture
def hub(tmp_path: Path, hub_server: str, hub_programs: Programs) -> FakeHub:
    """An empty Hub that large files go to through LFS."""
    fresh = FakeHub(hub_server, tmp_path / "hub" / "home", hub_programs)
    (tmp_path / "hub" / "xet").mkdir(parents=True)
    fresh.reset(tmp_path / "hub" / "xet")
    return fresh


@pytest.fixture
def xet_hub(hub: FakeHub) -> FakeHub:
    """The same through Xet."""
    return replace(hub, xet=True)


@pytest.fixture(params=["lfs", "xet"])
def any_hub(hub: FakeHub, request: pytest.FixtureRequest) -> FakeHub:
    """The same through either way that large files may go."""
    return replace(hub, xet=request.param == "xet")


@pytest.fixture(scope="session")
def converted_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained checkpoint, converted; not to be changed."""
    pair = tmp_path_factory.mktemp("converted") / "pair"
    convert(FIXTURES / "default", pair, vocab=FIXTURES / "vocab.txt", optimizer=True)
    return pair


@pytest.fixture
def pair(tmp_path: Path, converted_pair: Path) -> Path:
    """A converted and verified pair, to be changed at will."""
    copy = tmp_path / "pair"
    shutil.copytree(converted_pair, copy)
    for role in ("discriminator", "generator"):
        write_parity(copy / role)
    return copy


@pytest.fixture
def generator(pair: Path) -> Path:
    """A converted and verified generator, which is the smaller one."""
    return pair / "generator"


@pytest.fixture
def discriminator(pair: Path) -> Path:
    """A converted and verified discriminator."""
    return pair / "discriminator"


@pytest.fixture
def converted(tmp_path: Path) -> Callable[..., Path]:
    """Converts the trained checkpoint as a test wants it, and has it verified."""

    def make(name: str, **options) -> Path:
        folder = tmp_path / name
        convert(FIXTURES / "default", folder, vocab=FIXTURES / "vocab.txt", model="generator", **options)
        write_parity(folder)
        return folder

    return make
