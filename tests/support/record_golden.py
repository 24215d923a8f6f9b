"""Records what Google's graph computes of a pair: python -m support.record_golden CHECKPOINT, in tests/.

What it writes is golden.npz beside the checkpoint, in the form that verify --golden reads.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from electra_convert.schemes.mapping import Role
from electra_convert.verification.inputs import Batch
from electra_convert.verification.reference.session import ReferenceSession
from electra_convert.verification.sides import Place, Side, open_side

ROWS, LENGTH, MASKS = 4, 24, 8
PREFIXES: dict[Role, str] = {"discriminator": "disc", "generator": "gen"}


def _batch(vocabulary: int) -> Batch:
    """Ids over the whole vocabulary; rows are padded, but for the first, and their second halves of segment 1."""
    random = np.random.default_rng(7)
    ids = random.integers(0, vocabulary, (ROWS, LENGTH), dtype=np.int32)
    lengths = LENGTH - np.arange(ROWS)[:, None] * 5
    places = np.arange(LENGTH)[None]
    mask = (places < lengths).astype(np.int32)
    return Batch("recorded", ("",) * ROWS, ids * mask, mask, (places >= LENGTH // 2) * mask)


def _record(side: Side, role: Role, batch: Batch, session: ReferenceSession) -> dict[str, np.ndarray]:
    prefix = PREFIXES[role]
    (run,) = side.runner(role, None, session).start([batch], ["float32"], {})()
    layers = [array for name, (array,) in run.stages.items() if name.startswith("layer")]
    (logits,) = run.stages["logits"]
    found = {f"{prefix}_ids": batch.input_ids, f"{prefix}_hidden": np.stack(layers)}
    if role == "discriminator":
        return {**found, "disc_logits": logits}
    places = np.argwhere(batch.input_mask)[:MASKS].astype(np.int32)
    return {**found, "gen_positions": places, "gen_logits": logits[tuple(places.T)]}


def main(folder: Path) -> None:
    with open_side(Place(folder), lenient=False) as side, ReferenceSession() as session:
        batch = _batch(side.checkpoint.models["discriminator"].sizes.vocabulary)
        arrays = {"input_mask": batch.input_mask, "segment_ids": batch.segment_ids}
        for role in PREFIXES:
            arrays |= _record(side, role, batch, session)
    np.savez_compressed(folder / "golden.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
