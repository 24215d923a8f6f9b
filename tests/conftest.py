"""What tests share: the fixtures' places, and checkpoints of every layout, written once by TensorFlow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import checkpoints
from support.checkpoints import SIZES, Sizes

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FIXTURES = Path(__file__).parent.parent / "fixtures"
GOLDEN = {"default": 4000, "full_size_generator": 1200, "untied_embeddings": 1200}

# Every layout, with sizes under which it differs from the others in something.
VARIANT_SIZES = (
    ("default", "projected"),
    ("default", "projected_generator"),
    ("default", "full_size_generator"),
    ("default", "deep"),
    ("default", "odd"),
    ("untied_generator_embeddings", "projected_generator"),
    ("untied_generator_embeddings", "embeddings_wider_than_hidden"),
    ("tied_generator", "projected"),
    ("tied_generator", "odd"),
    ("masked_lm", "projected"),
    ("masked_lm", "embeddings_wider_than_hidden"),
    ("uniform_generator", "odd"),
    ("uniform_generator", "relu"),
    ("uniform_generator", "tanh"),
    ("uniform_generator", "linear"),
    ("two_tower_generator", "projected"),
    ("two_tower_untied_embeddings", "projected"),
    ("fine_tuned", "projected"),
)


@pytest.fixture
def golden_copy(tmp_path: Path) -> Callable[..., Path]:
    """Copies a trained checkpoint, with its vocabulary, to where a test may damage it."""

    def copy(name: str = "default", without: tuple[str, ...] = ()) -> Path:
        folder = tmp_path / f"copy_of_{name}"
        shutil.copytree(FIXTURES / name, folder, ignore=shutil.ignore_patterns("golden.npz", *without))
        if "vocab.txt" not in without:
            shutil.copy(FIXTURES / "vocab.txt", folder)
        return folder

    return copy


@pytest.fixture(scope="session")
def variant_folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Writes a checkpoint of a layout with TensorFlow, once a session."""
    made: dict[tuple[str, str], Path] = {}

    def folder(variant: str, sizes: str) -> Path:
        if (variant, sizes) not in made:
            place = tmp_path_factory.mktemp(f"{variant}_{sizes}")
            checkpoints.write_folder(place, variant, SIZES[sizes])
            made[variant, sizes] = place
        return made[variant, sizes]

    return folder


def sizes_named(name: str) -> Sizes:
    return SIZES[name]
