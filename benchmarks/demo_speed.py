"""How fast `demo` answers with a model of ELECTRA-Small's size: first result, later ones, sixteen typing at once."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

SENTENCE = "The quick brown fox fake over the lazy dog"
VOCABULARY = Path(__file__).parent.parent / "fixtures" / "vocab.txt"
CLIENTS = 16


def make_small(folder: Path) -> None:
    """A pair of ELECTRA-Small's sizes with random weights; transformers' default configuration is Small's."""
    from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining
    from transformers.utils import logging

    logging.disable_progress_bar()
    pieces = VOCABULARY.read_text().split()
    config = ElectraConfig()
    pieces += [f"[unused{number}]" for number in range(config.vocab_size - len(pieces))]
    for role, architecture in (("discriminator", ElectraForPreTraining), ("generator", ElectraForMaskedLM)):
        architecture(config).save_pretrained(folder / role)
        (folder / role / "vocab.txt").write_text("\n".join(pieces) + "\n")


def first_output(arguments: list[str]) -> float:
    """Seconds until a process has written its first line."""
    start = time.perf_counter()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        taken = time.perf_counter() - start
        process.stdout.read()
    return taken


def first_results(model: Path, runs: int) -> None:
    """Whole processes against `import torch, transformers`, in turn, until their first line."""
    demo = [sys.executable, "-m", "electra_convert", "demo", str(model), SENTENCE]
    bare = [sys.executable, "-c", "import torch, transformers; print(1, flush=True)"]
    first_output(demo)
    times = [(first_output(demo), first_output(bare)) for _ in range(runs)]
    shown, imported = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"first result {shown:.2f} s, import torch, transformers {imported:.2f} s, ratio {shown / imported:.2f}")


def further_results(model: Path, runs: int) -> None:
    """One sentence after another in one process, the first not counted."""
    from electra_convert import open_model

    opened = open_model(model)
    times = []
    for number in range(10 * runs):
        start = time.perf_counter()
        opened.score(f"{SENTENCE} {number}")
        times.append(time.perf_counter() - start)
    rest = times[1:]
    print(f"a further sentence: median {1000 * statistics.median(rest):.1f} ms, longest {1000 * max(rest):.1f} ms")


def clients_at_once(model: Path) -> None:
    """Clients that each send a sentence letter by letter, the next when the last is answered."""
    command = [sys.executable, "-m", "electra_convert", "demo", str(model), "--web"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()

        def type_along(client: int) -> list[float]:
            text = f"{SENTENCE}, said client {client}"
            return [post(address, text[:end]) for end in range(4, len(text))]

        with ThreadPoolExecutor(CLIENTS) as pool:
            times = [taken for one in pool.map(type_along, range(CLIENTS)) for taken in one]
        server.terminate()
    middle, late = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    print(f"{CLIENTS} clients at once, {len(times)} requests, all answered:", end=" ")
    print(f"median {1000 * middle:.0f} ms, 95th percentile {1000 * late:.0f} ms, longest {1000 * max(times):.0f} ms")


def post(address: str, text: str) -> float:
    """Seconds until a text is scored."""
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(f"{address}api/score", body, {"Content-Type": "application/json"})
    start = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["words"]
    return time.perf_counter() - start


def main() -> None:
    """Make the model, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    with TemporaryDirectory() as place:
        model = Path(place) / "small"
        make_small(model)
        first_results(model, given.runs)
        further_results(model, given.runs)
        clients_at_once(model)


if __name__ == "__main__":
    main()
