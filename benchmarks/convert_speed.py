"""How fast convert is, as a multiple of `cp` of what it wrote, and how much memory it takes.

    python benchmarks/convert_speed.py [--sizes small,base,large] [--runs 5] [--folder DIR] [--containers]

Makes a checkpoint of each size with optimiser slots, through TensorFlow's own writer and with random weights; then
runs `electra-convert convert --model discriminator` and `cp` of the model.safetensors it wrote in turn, whole
processes, page cache warm, and prints the best of several runs and their ratio. Also `--help` against a bare
`import click`. Needs about 12 GB of disk for large.

With --containers, instead: the discriminator of each size from other containers to safetensors, as a multiple of the
conversion from safetensors to safetensors.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

VOCABULARY, POSITIONS, TYPES = 30522, 512, 2
# As released: embedding, hidden, layers, generator's share of the hidden width (google-research/electra's README).
EMBEDDINGS = ("word_embeddings", "position_embeddings", "token_type_embeddings")
SIZES = {"small": (128, 256, 12, 1.0), "base": (768, 768, 12, 1 / 3), "large": (1024, 1024, 24, 0.25)}


@dataclass(frozen=True)
class Run:
    """What one process took."""

    seconds: float
    megabytes: float


def measure(command: Sequence[str]) -> Run:
    """Run a process, its output thrown away; its wall time and largest resident memory."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    child = os.posix_spawnp(
        command[0], list(command), environment, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return Run(seconds, usage.ru_maxrss / 1024)


def layer_shapes(scope: str, hidden: int) -> dict[str, tuple[int, ...]]:
    """The variables of one encoder layer."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (inputs, outputs) in {
        "attention/self/query": (hidden, hidden),
        "attention/self/key": (hidden, hidden),
        "attention/self/value": (hidden, hidden),
        "attention/output/dense": (hidden, hidden),
        "intermediate/dense": (hidden, 4 * hidden),
        "output/dense": (4 * hidden, hidden),
    }.items():
        shapes |= {f"{scope}/{name}/kernel": (inputs, outputs), f"{scope}/{name}/bias": (outputs,)}
    for name in ("attention/output/LayerNorm", "output/LayerNorm"):
        shapes |= {f"{scope}/{name}/beta": (hidden,), f"{scope}/{name}/gamma": (hidden,)}
    return shapes


def checkpoint_shapes(size: str) -> dict[str, tuple[int, ...]]:
    """Every variable of a default run of google-research/electra."""
    embedding, hidden, layers, share = SIZES[size]
    shapes: dict[str, tuple[int, ...]] = {
        "electra/embeddings/word_embeddings": (VOCABULARY, embedding),
        "electra/embeddings/position_embeddings": (POSITIONS, embedding),
        "electra/embeddings/token_type_embeddings": (TYPES, embedding),
        "electra/embeddings/LayerNorm/beta": (embedding,),
        "electra/embeddings/LayerNorm/gamma": (embedding,),
        "discriminator_predictions/dense/kernel": (hidden, hidden),
        "discriminator_predictions/dense/bias": (hidden,),
        "discriminator_predictions/dense_1/kernel": (hidden, 1),
        "discriminator_predictions/dense_1/bias": (1,),
        "generator_predictions/dense/kernel": (round(hidden * share), embedding),
        "generator_predictions/dense/bias": (embedding,),
        "generator_predictions/LayerNorm/beta": (embedding,),
        "generator_predictions/LayerNorm/gamma": (embedding,),
        "generator_predictions/output_bias": (VOCABULARY,),
    }
    for scope, width in (("electra", hidden), ("generator", round(hidden * share))):
        if width != embedding:
            shapes |= {f"{scope}/embeddings_project/kernel": (embedding, width)}
            shapes |= {f"{scope}/embeddings_project/bias": (width,)}
        for layer in range(layers):
            shapes |= layer_shapes(f"{scope}/encoder/layer_{layer}", width)
    return shapes


def make_checkpoint(folder: Path, size: str) -> None:
    """Write a checkpoint with slots through TensorFlow, every tensor a window of one random pool."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    shapes = checkpoint_shapes(size)
    longest = max(int(np.prod(shape)) for shape in shapes.values())
    pool = np.random.default_rng(0).standard_normal(longest + 4096, np.float32) * np.float32(0.02)
    tensors = {"global_step": np.array(1_000_000, np.int64)}
    for index, (name, shape) in enumerate(sorted(shapes.items())):
        for number, slot in enumerate(("", "/adam_m", "/adam_v")):
            start = (7 * index + 13 * number) % 4096
            tensors[name + slot] = pool[start : start + int(np.prod(shape))].reshape(shape)
    names = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(folder / "model.ckpt-1000000"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tensors[name] for name in names],
    )
    (folder / "hparams.json").write_text(f'{{"model_size": "{size}", "generator_hidden_size": {SIZES[size][3]}}}')
    words = [f"w{number}" for number in range(VOCABULARY - 5)]
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]) + "\n")


def compare(folder: Path, size: str, runs: int) -> str:
    """Time the conversion of one checkpoint against cp, in turn."""
    output, copy = folder / "output", folder / "copy.safetensors"
    command = [sys.executable, "-m", "electra_convert", "convert", str(folder / size), str(output)]
    tool, copies = [], []
    for _ in range(runs + 1):
        shutil.rmtree(output, ignore_errors=True)
        tool.append(measure([*command, "--model", "discriminator", "--quiet"]))
        copy.unlink(missing_ok=True)
        copies.append(measure(["cp", str(output / "model.safetensors"), str(copy)]))
    best, reference = min(run.seconds for run in tool[1:]), min(run.seconds for run in copies[1:])
    memory = max(run.megabytes for run in tool)
    megabytes = (output / "model.safetensors").stat().st_size / 1e6
    shutil.rmtree(output)
    copy.unlink()
    return f"{size:8}{megabytes:10.0f}{best:10.2f}{reference:10.2f}{best / reference:8.2f}{memory:12.0f}"


def write_keras(source: Path, target: Path) -> None:
    """Write the weights of a model folder as transformers' TFElectraForPreTraining saves them, kernels turned."""
    import h5py
    from safetensors.numpy import load_file

    with h5py.File(target / "tf_model.h5", "w") as file:
        for name, array in load_file(source / "model.safetensors").items():
            *scopes, last = name.replace(".layer.", ".layer_._").replace("._", "!").replace(".", "/").split("/")
            scopes = [scope.replace("!", "._") for scope in scopes]
            turned = array.ndim == 2 and scopes[-1] not in EMBEDDINGS
            if turned:
                last = "kernel"
            elif scopes[-1] == "LayerNorm":
                last = {"weight": "gamma", "bias": "beta"}[last]
            elif scopes[-1] in EMBEDDINGS[1:]:
                last = "embeddings"
            path = "/".join([scopes[0], "tf_electra_for_pre_training", *scopes, f"{last}:0"])
            file[path] = array.T if turned else array


def write_flax(source: Path, target: Path) -> None:
    """Write the weights of a model folder as flax does (flax/serialization.py), kernels turned."""
    from safetensors.numpy import load_file

    tree: dict[str, Any] = {}
    for name, array in load_file(source / "model.safetensors").items():
        *keys, leaf = name.split(".")
        place = tree
        for key in keys:
            place = place.setdefault(key, {})
        turned = leaf == "weight" and array.ndim == 2 and keys[-1] not in EMBEDDINGS
        leaf = "kernel" if turned else leaf.replace("weight", "embedding" if array.ndim == 2 else "scale")
        place[leaf] = np.ascontiguousarray(array.T) if turned else array
    with (target / "flax_model.msgpack").open("wb") as file:
        write_msgpack(file, tree)


def write_msgpack(file: BinaryIO, value: Any) -> None:  # noqa: ANN401 - maps of maps of arrays
    """Write maps of arrays, every length in four bytes."""
    if isinstance(value, dict):
        file.write(b"\xdf" + len(value).to_bytes(4, "big"))
        for key, inner in value.items():
            file.write(b"\xd9" + bytes((len(key),)) + key.encode())
            write_msgpack(file, inner)
        return
    shape = b"".join(b"\xce" + size.to_bytes(4, "big") for size in value.shape)
    head = b"\x93" + bytes((0x90 | value.ndim,)) + shape + b"\xa7float32\xc6" + value.nbytes.to_bytes(4, "big")
    file.write(b"\xc9" + (len(head) + value.nbytes).to_bytes(4, "big") + b"\x01" + head)
    file.write(value.data)


# What a model is converted from beside safetensors, and what writes it into a folder.
CONTAINERS = {"h5": write_keras, "flax": write_flax}


def compare_containers(folder: Path, size: str, runs: int) -> str:
    """Time the conversion of a model from other containers against that from safetensors, in turn."""
    tool = [sys.executable, "-m", "electra_convert", "convert"]
    model, output = folder / "model", folder / "output"
    measure([*tool, str(folder / size), str(model), "--model", "discriminator", "--quiet"])
    sources = {"safetensors": model}
    for name in CONTAINERS:
        sources[name] = folder / name
        sources[name].mkdir()
        shutil.copy(model / "config.json", sources[name])
        measure([sys.executable, __file__, "--write", name, str(model), str(sources[name])])
    expected = model / "model.safetensors"
    taken: dict[str, list[Run]] = {name: [] for name in sources}
    for _ in range(runs + 1):
        for name, source in sources.items():
            shutil.rmtree(output, ignore_errors=True)
            taken[name].append(measure([*tool, str(source), str(output), "--to", "safetensors", "--quiet"]))
            if not filecmp.cmp(output / "model.safetensors", expected, shallow=False):
                raise SystemExit(f"{source} does not give the same file")
    best = {name: min(run.seconds for run in found[1:]) for name, found in taken.items()}
    peak = {name: max(run.megabytes for run in found) for name, found in taken.items()}
    megabytes = expected.stat().st_size / 1e6
    for place in (*sources.values(), output):
        shutil.rmtree(place)
    return "\n".join(
        f"{size:8}{name:12}{megabytes:10.0f}{seconds:10.2f}{seconds / best['safetensors']:8.2f}{peak[name]:12.0f}"
        for name, seconds in best.items()
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="small,base,large")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    parser.add_argument("--make", nargs=2, metavar=("FOLDER", "SIZE"), help="only make a checkpoint")
    parser.add_argument(
        "--write", nargs=3, metavar=("CONTAINER", "MODEL", "FOLDER"), help="only write a model in a container"
    )
    parser.add_argument("--containers", action="store_true", help="compare containers, instead of cp")
    options = parser.parse_args()
    if options.write:
        CONTAINERS[options.write[0]](*map(Path, options.write[1:]))
        return
    if options.make:
        make_checkpoint(Path(options.make[0]), options.make[1])
        return
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, best of {options.runs}"
    )
    timed = compare_containers if options.containers else compare
    if options.containers:
        print(f"{'size':8}{'from':12}{'MB out':>10}{'convert s':>10}{'ratio':>8}{'peak MB':>12}")
    else:
        print(f"{'size':8}{'MB out':>10}{'convert s':>10}{'cp s':>10}{'ratio':>8}{'peak MB':>12}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for size in options.sizes.split(","):
            (folder / size).mkdir()
            # In a process of its own: a child's peak memory begins with that of the process that starts it.
            measure([sys.executable, __file__, "--make", str(folder / size), size])
            print(timed(folder, size, options.runs), flush=True)
            shutil.rmtree(folder / size)
    if options.containers:
        return
    bare = min(measure([sys.executable, "-c", "import click"]).seconds for _ in range(20))
    told = min(measure([sys.executable, "-m", "electra_convert", "--help"]).seconds for _ in range(20))
    print(f"--help {told * 1000:.0f} ms, import click {bare * 1000:.0f} ms, ratio {told / bare:.2f}")


if __name__ == "__main__":
    main()
