"""Details that a conversion must carry through in both directions, where a mistake would show nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES
from support import checkpoints
from support.checkpoints import SIZES

from electra_convert import convert, inspect
from electra_convert.errors import NamesError, OutputError, SourceError
from electra_convert.formats.tf_bundle import open_sink, open_source
from electra_convert.tensors.spec import DTYPES, TensorSpec


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())


def change_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**read_json(path), **values}))


def write_bfloat16(folder: Path) -> None:
    """A default checkpoint whose weights are bfloat16 and whose slots are float32."""
    folder.mkdir()
    tensors = checkpoints.variables("default", SIZES["deep"])
    halves = {name for name in tensors if not name.endswith(("/adam_m", "/adam_v", "global_step"))}
    dtypes = {name: DTYPES["bfloat16" if name in halves else array.dtype.name] for name, array in tensors.items()}
    specs = [TensorSpec(name, dtypes[name], array.shape) for name, array in tensors.items()]
    with open_sink(folder / "model.ckpt-1000", specs) as sink:
        for name, array in tensors.items():
            bits = (array.view("<u4") >> 16).astype("<u2") if name in halves else array
            sink.writer(name).write(np.ascontiguousarray(bits).reshape(-1).view(np.uint8).data)
    (folder / "hparams.json").write_text(json.dumps(checkpoints.hparams("default", SIZES["deep"])))


def test_weights_in_half_precision_come_back_byte_for_byte(tmp_path: Path):
    write_bfloat16(tmp_path / "tf")
    convert(tmp_path / "tf", tmp_path / "pair", optimizer=True)
    convert(tmp_path / "pair", tmp_path / "back", optimizer=True)
    for name in ("model.ckpt-1000.index", "model.ckpt-1000.data-00000-of-00001"):
        assert (tmp_path / "back" / name).read_bytes() == (tmp_path / "tf" / name).read_bytes()


def test_float32_that_is_asked_for_is_what_google_gets(tmp_path: Path):
    write_bfloat16(tmp_path / "tf")
    convert(tmp_path / "tf", tmp_path / "wide", to="tf", dtype="float32")
    with open_source(tmp_path / "wide" / "model.ckpt-1000") as source:
        assert {tensor.dtype.name for tensor in source.tensors.values()} == {"float32"}


def test_one_configuration_for_both_models_is_taken_for_both(written, tmp_path: Path):
    folder = written("tied_generator", "full_size_generator", hparams=False)
    config = {"model_type": "electra", "architectures": ["ElectraForPreTraining"], "num_attention_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = inspect(folder, config=tmp_path / "config.json")
    assert {model.config["num_attention_heads"].value for model in found.models.values()} == {4}


def test_a_cased_vocabulary_tells_google_not_to_lower_case(golden_copy, tmp_path: Path):
    convert(golden_copy(without=("vocab.txt",)), tmp_path / "one", model="discriminator")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"Word{number}" for number in range(1495))]
    (tmp_path / "one" / "vocab.txt").write_text("\n".join(pieces) + "\n")
    convert(tmp_path / "one", tmp_path / "tf")
    assert read_json(tmp_path / "tf" / "hparams.json")["do_lower_case"] is False


def test_accents_that_google_would_strip_are_pointed_out(golden_copy, tmp_path: Path):
    convert(golden_copy(), tmp_path / "one", model="discriminator", strip_accents=False)
    told = convert(tmp_path / "one", tmp_path / "tf").notices
    assert "The tokenizer has strip_accents false; Google's code strips accents here." in told


def test_hparams_of_two_towers_do_not_outlive_them(written, tmp_path: Path):
    convert(written("two_tower_generator"), tmp_path / "one")
    convert(tmp_path / "one", tmp_path / "tf")
    hparams = read_json(tmp_path / "tf" / "hparams.json")
    assert hparams["uniform_generator"] is True
    assert not {"two_tower_generator", "electric_objective", "electra_objective"} & hparams.keys()


def test_a_transformers_model_keeps_its_padding_and_its_classs_defaults(golden_copy, tmp_path: Path):
    convert(golden_copy(without=("vocab.txt",)), tmp_path / "one", model="discriminator")
    config = read_json(tmp_path / "one" / "config.json")
    del config["num_attention_heads"]
    (tmp_path / "one" / "config.json").write_text(json.dumps({**config, "pad_token_id": 3}))
    convert(tmp_path / "one", tmp_path / "again", to="safetensors")
    again = read_json(tmp_path / "again" / "config.json")
    assert (again["pad_token_id"], again["num_attention_heads"]) == (3, 4)


def test_slots_of_the_other_model_are_not_slots(golden_copy, tmp_path: Path):
    convert(golden_copy(), tmp_path / "pair", optimizer=True)
    (tmp_path / "pair" / "generator" / "optimizer.safetensors").unlink()
    with pytest.raises(OutputError, match="has no optimiser slots"):
        convert(tmp_path / "pair", tmp_path / "tf", model="generator", optimizer=True)


def test_half_a_pair_is_not_taken_for_the_whole(golden_copy, tmp_path: Path):
    convert(golden_copy(), tmp_path / "pair")
    (tmp_path / "pair" / "generator" / "model.safetensors").unlink()
    with pytest.raises(
        SourceError, match="generator holds no transformers model, and the one beside it is only half"
    ):
        convert(tmp_path / "pair", tmp_path / "tf")


def test_a_pair_needs_a_discriminator_with_its_head(written, golden_copy, tmp_path: Path):
    convert(golden_copy(), tmp_path / "pair")
    convert(written("fine_tuned"), tmp_path / "encoder")
    with pytest.raises(NamesError, match="the discriminator has no pretraining head"):
        convert(tmp_path / "encoder", tmp_path / "tf", generator=tmp_path / "pair" / "generator")


def test_a_tokenizer_of_another_kind_does_not_hold_up_the_weights(golden_copy, tmp_path: Path):
    convert(golden_copy(without=("vocab.txt",)), tmp_path / "one", model="discriminator")
    (tmp_path / "one" / "tokenizer.json").write_text('{"model": {"type": "BPE", "vocab": {}}}')
    (tmp_path / "one" / "tokenizer_config.json").write_text('{"tokenizer_class": "Other"}')
    result = convert(tmp_path / "one", tmp_path / "again", to="safetensors")
    kept = (tmp_path / "again" / "tokenizer.json").read_bytes()
    assert kept == (tmp_path / "one" / "tokenizer.json").read_bytes()
    assert any("The tokenizer is Other, not ELECTRA" in line for line in result.notices)
    assert "vocab.txt" not in convert(tmp_path / "one", tmp_path / "tf").files


@pytest.mark.parametrize("damage", [b"junk", None])
def test_an_option_puts_aside_a_graph_that_is_of_no_use(golden_copy, tmp_path: Path, damage: bytes | None):
    folder = golden_copy(without=("hparams.json",))
    other = FIXTURES / "default" / "hparams.json"
    (folder / "model.ckpt-4000.meta").write_bytes(damage or b"\x12\x05" + b"\xff" * 5)
    found = inspect(folder, hparams=other)
    assert found.models["discriminator"].config["num_attention_heads"].value == 2
    assert any("Put aside, since an option decides" in line for line in found.warnings)


def test_a_copied_folder_is_read_and_not_the_one_it_was_copied_from(golden_copy, tmp_path: Path):
    folder = golden_copy()
    original = FIXTURES.resolve() / "full_size_generator" / "model.ckpt-4000"
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{original}"\n')
    assert inspect(folder).models["generator"].config["hidden_size"].value == 32
    (folder / "checkpoint").write_text('model_checkpoint_path: "C:\\\\runs\\\\model.ckpt-4000"\n')
    assert inspect(folder).step == 4000


def test_a_dry_run_names_the_files_that_the_run_writes(golden_copy, tmp_path: Path):
    folder = golden_copy()
    for options in ({"max_shard_size": 50_000}, {"optimizer": True}, {"to": "tf"}):
        planned = convert(folder, tmp_path / "out", dry_run=True, overwrite=True, **options)
        made = convert(folder, tmp_path / "out", overwrite=True, **options)
        assert planned.files.keys() == made.files.keys()


@pytest.mark.parametrize(("kept", "state"), [(("adam_m", "adam_v"), "full"), (("adam_m",), "partial"), ((), "none")])
def test_slots_are_full_partial_or_none(written, kept: tuple[str, ...], state: str):
    def drop(tensors: dict[str, np.ndarray]) -> None:
        for name in [
            name
            for name in tensors
            if name.endswith(("adam_m", "adam_v")) and not name.endswith(kept or ("nothing",))
        ]:
            del tensors[name]

    assert inspect(written(slots=True, change=drop)).slots == state


def test_what_is_put_aside_is_recorded_without_its_place(golden_copy, tmp_path: Path):
    folder = golden_copy()
    (folder / "config.json").write_text("junk")
    result = convert(folder, tmp_path / "out", hparams=FIXTURES / "default" / "hparams.json")
    (told,) = result.warnings
    assert told.startswith("Put aside, since an option decides: config.json is not JSON")
    assert str(tmp_path) not in (tmp_path / "out" / "discriminator" / "conversion.json").read_text()
