"""Every reader of files that others made: valid files, how they are changed, and what reads them.

A reader that is added gets one entry in READERS: a function that writes small valid files into a folder and says how
each of them is changed, and one that reads the folder.
"""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from crc32c import crc32c

from electra_convert.formats import onnx, safetensors_file, torch_file
from electra_convert.formats.files import ReadFile
from electra_convert.formats.tf_bundle import graphs, open_sink, open_source, state_file
from electra_convert.formats.tf_bundle.entries import BundleEntry, BundleHeader, Extent, encode_entry, encode_header
from electra_convert.formats.tf_bundle.slices import slice_key
from electra_convert.formats.tf_bundle.table import encode_table, read_table
from electra_convert.formats.wire import encode_content, encode_number, encode_varint
from electra_convert.tensors.spec import DTYPES, Source, TensorSpec
from support.fuzzing import mutations as change
from support.fuzzing.mutations import JSON, TEXT, Mutation, anywhere, either

FIXTURES = Path(__file__).parents[3] / "fixtures"
# What each file holds when it is whole, and how it is changed.
Files = Mapping[str, tuple[bytes, Mutation]]


@dataclass(frozen=True)
class Reader:
    """What reads files that anyone may have made.

    Attributes:
        name: what it is called.
        prepare: writes whole files into a folder, and returns those that are changed.
        read: reads the folder.
        cost: about how many thousandths of a second an input takes; there are fewer of costly ones.
        needs_framework: whether torch is imported.
    """

    name: str
    prepare: Callable[[Path], Files]
    read: Callable[[Path], object]
    cost: float = 1
    needs_framework: bool = False


def share(reader: Reader, chosen: Sequence[Reader], count: int) -> int:
    """How many of all inputs a reader gets: those that are read in half the time get twice as many."""
    return -(-count * _weight(reader) // sum(map(_weight, chosen)))


def _weight(reader: Reader) -> int:
    return max(1, round(64 / reader.cost))


def _written(folder: Path, files: Files) -> Files:
    for name, (content, _) in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return files


def _streamed(source: Source) -> None:
    """Read all tensors, piece by piece, those that are no numbers aside."""
    try:
        for tensor in source.tensors.values():
            if tensor.dtype.kind != "opaque":
                for _ in tensor.stream(memoryview(bytearray(1 << 16))):
                    pass
    finally:
        source.close()


def _arrays() -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(0)
    return {
        "electra/embeddings": random.normal(size=(5, 3)).astype("<f4"),
        "global_step": np.array(4000, "<i8"),
        "half": random.normal(size=(2, 2)).astype("<f2"),
        "mask": np.array([True, False, True]),
        "none": np.zeros((0, 4), "<f4"),
    }


def _fill(sink: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    with sink:
        for name, array in arrays.items():
            sink.writer(name).write(memoryview(array.tobytes()))


def _specs(arrays: Mapping[str, np.ndarray[Any, Any]]) -> list[TensorSpec]:
    return [TensorSpec(name, DTYPES[array.dtype.name], array.shape) for name, array in arrays.items()]


# TensorFlow


def _bundle(folder: Path) -> Files:
    arrays = _arrays()
    _fill(open_sink(folder / "model.ckpt", _specs(arrays)), arrays)
    index, data = "model.ckpt.index", "model.ckpt.data-00000-of-00001"
    with ReadFile(folder / index) as file:
        entries = list(read_table(file))
    changed = either(
        change.table_entries(entries), change.table_entries(entries), change.table_blocks, change.table_footer
    )
    return {
        index: ((folder / index).read_bytes(), changed),
        data: ((folder / data).read_bytes(), anywhere),
    }


def _partitioned(folder: Path) -> Files:
    """A variable in two slices, and an object graph that names it."""
    halves = [np.arange(6, dtype="<f4").tobytes(), np.arange(6, 12, dtype="<f4").tobytes()]
    slices = ((Extent(0, 2), Extent(0, None)), (Extent(2, 2), Extent(0, None)))

    def rows(start: int, length: int) -> bytes:
        extent = encode_number(1, start) + encode_number(2, length)
        return encode_content(7, encode_content(1, extent) + encode_content(1, b""))

    attribute = encode_content(2, b"electra/kernel") + encode_content(3, b"var")
    graph = encode_content(1, encode_content(2, attribute) + encode_content(1, encode_number(1, 0)))
    length = len(graph).to_bytes(4, "little")
    stored = encode_varint(len(graph)) + crc32c(length).to_bytes(4, "little") + graph
    entries = {
        b"": encode_header(BundleHeader(num_shards=1)),
        b"_CHECKPOINTABLE_OBJECT_GRAPH": encode_entry(
            BundleEntry(7, (), 0, 48, len(stored), crc32c(stored[len(encode_varint(len(graph))) :], crc32c(length)))
        ),
        b"var": encode_entry(BundleEntry(1, (4, 3))) + rows(0, 2) + rows(2, 2),
    }
    for number, (half, part) in enumerate(zip(halves, slices, strict=True)):
        entries[slice_key(b"var", part)] = encode_entry(BundleEntry(1, (2, 3), 0, 24 * number, 24, crc32c(half)))
    table = sorted(entries.items())
    return _written(
        folder,
        {
            "model.ckpt.index": (encode_table(table), change.table_entries(table)),
            "model.ckpt.data-00000-of-00001": (b"".join(halves) + stored, anywhere),
        },
    )


def _read_bundle(folder: Path) -> None:
    _streamed(open_source(folder / "model.ckpt"))


def _object_graph(folder: Path) -> Files:
    attributes = b"".join(
        encode_content(2, encode_content(2, b"name" * n) + encode_content(3, b"k%d" % n)) for n in range(4)
    )
    return _written(folder, {"graph": (encode_content(1, attributes) * 2, either(change.protobuf))})


def _read_object_graph(folder: Path) -> None:
    graphs.variable_names((folder / "graph").read_bytes(), [b"k1", b"k2"])


def _meta_graph(folder: Path) -> Files:
    def constant(name: bytes, value: float) -> bytes:
        tensor = encode_number(1, 1) + encode_content(4, np.float32(value).tobytes())
        attribute = encode_content(1, b"value") + encode_content(2, encode_content(8, tensor))
        return encode_content(1, encode_content(1, name) + encode_content(2, b"Const") + encode_content(5, attribute))

    nodes = constant(b"electra/mul/y", 0.25) + constant(b"electra/LayerNorm/add", 1e-12)
    nodes += encode_content(1, encode_content(1, b"electra/act/Erf") + encode_content(2, b"Erf"))
    library = encode_content(2, encode_content(1, encode_content(3, nodes[2:])))
    return _written(folder, {"model.ckpt.meta": (encode_content(2, nodes + library), either(change.protobuf))})


def _read_meta_graph(folder: Path) -> None:
    for _ in graphs.read_nodes(folder / "model.ckpt.meta", lambda name, op: True):
        pass


def _state_file(folder: Path) -> Files:
    text = b'model_checkpoint_path: "model.ckpt-4"\nall_model_checkpoint_paths: "model.ckpt-\\044"\n'
    text += b"last_preserved_timestamp: 1.5\n"
    (folder / "model.ckpt-4.index").write_bytes(b"")
    return _written(folder, {"checkpoint": (text, TEXT)})


def _read_state_file(folder: Path) -> None:
    state_file.latest_prefix(folder / "checkpoint")


# safetensors and torch


def _safetensors(folder: Path) -> Files:
    arrays = _arrays()
    _fill(safetensors_file.open_sink(folder / "model.safetensors", _specs(arrays), {"format": "pt"}), arrays)
    changed = either(change.safetensors_header, change.safetensors_offsets)
    return {"model.safetensors": ((folder / "model.safetensors").read_bytes(), changed)}


def _shards(folder: Path) -> Files:
    arrays = _arrays()
    _fill(safetensors_file.open_folder_sink(folder, _specs(arrays), 64), arrays)
    index = folder / "model.safetensors.index.json"
    return {index.name: (index.read_bytes(), JSON)}


def _onnx(folder: Path) -> Files:
    """A model that adds, its tensors within it."""
    arrays = _arrays()
    port = onnx.Port("x", DTYPES["float32"], ("rows", 3))
    graph = onnx.Graph((onnx.Node("Add", ("x", "a"), ("y",), {"axis": 1}),), (port,), (port,))
    _fill(onnx.open_folder_sink(folder, _specs(arrays), "model.onnx", graph), arrays)
    return {"model.onnx": ((folder / "model.onnx").read_bytes(), either(change.protobuf))}


def _read_onnx(folder: Path) -> None:
    with onnx.OnnxFile(folder / "model.onnx") as file:
        _streamed(file)
        assert file.operators is not None


def _hdf5(folder: Path) -> Files:
    """A file as Keras writes it, with attributes, groups and datasets."""
    from support.keras_files import within, write_h5

    weights = {"electra.embeddings.word_embeddings.weight": np.ones((5, 3), "<f4")}
    write_h5(folder / "tf_model.h5", weights, within("model"))
    return {"tf_model.h5": ((folder / "tf_model.h5").read_bytes(), anywhere)}


def _read_hdf5(folder: Path) -> None:
    from electra_convert.formats.hdf5 import open_source as open_hdf5

    _streamed(open_hdf5(folder / "tf_model.h5"))


def _msgpack(folder: Path) -> Files:
    from support.flax_files import write

    write(folder / "flax_model.msgpack", {"electra.embeddings.word_embeddings.weight": np.ones((5, 3), "<f4")}, 32)
    return {"flax_model.msgpack": ((folder / "flax_model.msgpack").read_bytes(), anywhere)}


def _read_msgpack(folder: Path) -> None:
    from electra_convert.formats import msgpack_file

    _streamed(msgpack_file.open_source(folder / "flax_model.msgpack"))


def _read_safetensors(name: str) -> Callable[[Path], None]:
    return lambda folder: _streamed(safetensors_file.open_source(folder / name))


def _torch(zipped: bool) -> Callable[[Path], Files]:
    def prepare(folder: Path) -> Files:
        import torch

        weights = torch.arange(12.0).reshape(3, 4)
        state = {"a": weights, "tied": weights, "turned": weights.t(), "half": torch.ones(2, dtype=torch.bfloat16)}
        torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        inner = either(change.pickle_operations)
        changed = (
            either(change.zip_records(inner), change.zip_records(inner), change.zip_directory) if zipped else inner
        )
        return {"pytorch_model.bin": ((folder / "pytorch_model.bin").read_bytes(), changed)}

    return prepare


def _read_torch(folder: Path) -> None:
    _streamed(torch_file.open_source(folder / "pytorch_model.bin"))


# Model folders


def _model_folder(*names: str) -> Callable[[Path], Files]:
    """A folder as convert writes it, with its tokenizer."""

    def prepare(folder: Path) -> Files:
        from electra_convert import convert

        pair = folder.with_name(f"{folder.name}_pair")
        try:
            convert(FIXTURES / "default", pair, vocab=FIXTURES / "vocab.txt")
            shutil.copytree(pair / "discriminator", folder, dirs_exist_ok=True)
        finally:
            shutil.rmtree(pair, ignore_errors=True)
        return {name: ((folder / name).read_bytes(), TEXT if name == "vocab.txt" else JSON) for name in names}

    return prepare


def _read_model_folder(folder: Path) -> None:
    from electra_convert import inspect

    inspect(folder)


def _read_tokenizer_files(folder: Path) -> None:
    from electra_convert import tokenizer
    from electra_convert.tokenizer import folder as files
    from electra_convert.tokenizer.coverage import check_kept

    vocabulary = files.read_vocabulary_of_folder(folder)
    files.settings_of_folder(folder)
    files.max_length_of_folder(folder)
    files.segment_of_folder(folder)
    casing = tokenizer.decide_casing(None, files.casing_of_folder(folder), vocabulary) if vocabulary else None
    if vocabulary is not None and casing is not None and (folder / "tokenizer.json").is_file():
        check_kept(vocabulary, (folder / "tokenizer.json").read_bytes())


def _saved_tokenizer(folder: Path) -> Files:
    tokens = {
        token: row for row, token in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b", "ab"))
    }
    added = [
        {
            "id": row,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for token, row in tokens.items()
        if token.startswith("[")
    ]
    made = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}},
        },
        "decoder": None,
        "model": {
            "type": "BPE",
            "vocab": tokens,
            "merges": [["a", "b"]],
            "unk_token": "[UNK]",
            "byte_fallback": False,
        },
    }
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "cls_token": "[CLS]",
        "sep_token": {"content": "[SEP]"},
        "pad_token": "[PAD]",
    }
    return _written(
        folder,
        {
            "tokenizer.json": (json.dumps(made).encode(), JSON),
            "tokenizer_config.json": (json.dumps(config).encode(), JSON),
        },
    )


def _read_saved_tokenizer(folder: Path) -> None:
    from electra_convert.tokenizer.saved import read_saved_tokenizer

    made = read_saved_tokenizer(folder)
    _ = (made.definition, made.longest_word, made.continuing, made.special_ids)


def _vocabulary(folder: Path) -> Files:
    return _written(folder, {"vocab.txt": (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nc\n", TEXT)})


def _read_vocabulary(folder: Path) -> None:
    from electra_convert.tokenizer.vocabulary import read_vocabulary, require_word_pieces

    require_word_pieces(read_vocabulary(folder / "vocab.txt"))


def _config(folder: Path) -> Files:
    config = {
        "architectures": ["ElectraForPreTraining"], "attention_probs_dropout_prob": 0.1, "embedding_size": 128,
        "hidden_act": "gelu", "hidden_size": 256, "id2label": {"0": "no", "1": "yes"}, "intermediate_size": 1024,
        "label2id": {"no": 0, "yes": 1}, "layer_norm_eps": 1e-12, "max_position_embeddings": 512,
        "model_type": "electra", "num_attention_heads": 4, "num_hidden_layers": 12, "vocab_size": 30522,
        "auto_map": {"AutoTokenizer": ["a.B", None]}, "position_embedding_type": "absolute",
    }  # fmt: skip
    return _written(folder, {"config.json": (json.dumps(config).encode(), JSON)})


def _read_config(folder: Path) -> None:
    from electra_convert.config.labels import configured_labels
    from electra_convert.config.transformers import model_evidence, read_config, role_of_config
    from electra_convert.schemes.foreign import stated_beside
    from electra_convert.tokenizer import kinds

    stated_beside(folder, "model_type")
    kinds.code_of_folder(folder)
    config = read_config(folder / "config.json")
    model_evidence(config)
    role_of_config(config)
    configured_labels(config, 2)


def _hparams(folder: Path) -> Files:
    given = {
        "model_name": "small", "model_size": "small", "embedding_size": 128, "do_lower_case": "true",
        "generator_hidden_size": 0.25, "model_hparam_overrides": {"hidden_size": 64, "num_hidden_layers": 2},
        "vocab_size": 30522, "max_seq_length": 128, "untied_generator": True, "electra_objective": True,
    }  # fmt: skip
    return _written(folder, {"hparams.json": (json.dumps(given).encode(), JSON)})


def _read_hparams(folder: Path) -> None:
    from electra_convert.config.hparams import read_hparams_beside

    read_hparams_beside(folder / "hparams.json")


def _checkpoint_beside(folder: Path) -> Files:
    """A TensorFlow checkpoint with hparams and state, as inspect finds them."""
    shutil.copytree(FIXTURES / "finetuned" / "rte", folder, dirs_exist_ok=True)
    (folder / "golden.npz").unlink()
    return {
        "hparams.json": ((folder / "hparams.json").read_bytes(), JSON),
        "checkpoint": ((folder / "checkpoint").read_bytes(), TEXT),
    }


def _label_table(folder: Path) -> Files:
    table = pickle.dumps({"B-PER": 0, "I-PER": 1, "O": 2}, protocol=2)
    return _written(folder, {"labels.pkl": (table, either(change.pickle_operations))})


def _read_label_table(folder: Path) -> None:
    from electra_convert.config.labels import read_mapping

    read_mapping(folder / "labels.pkl")


# verify


def _npz(folder: Path) -> Files:
    ids = np.array([[2, 5, 6, 3], [2, 5, 3, 0]])
    np.savez(folder / "inputs.npz", input_ids=ids, input_mask=(ids > 0).astype(int), segment_ids=np.zeros_like(ids))
    changed = either(
        change.zip_records(either(change.npy_header)),
        change.zip_records(either(change.npy_header)),
        change.zip_directory,
    )
    return {"inputs.npz": ((folder / "inputs.npz").read_bytes(), changed)}


def _read_npz(folder: Path) -> None:
    from electra_convert.verification.inputs import Limits, read_inputs

    read_inputs(folder / "inputs.npz", Limits(8, 4, 2))


def _golden(folder: Path) -> Files:
    shutil.copytree(FIXTURES / "finetuned" / "rte", folder, dirs_exist_ok=True)
    changed = either(change.zip_records(either(change.npy_header)), change.zip_directory)
    return {"golden.npz": ((folder / "golden.npz").read_bytes(), changed)}


def _read_golden(folder: Path) -> None:
    from electra_convert.checkpoint import open_checkpoint
    from electra_convert.verification.recorded import read_golden, recorded_tasks

    recorded_tasks(folder / "golden.npz")
    with open_checkpoint(folder) as checkpoint:
        read_golden(folder / "golden.npz", checkpoint.models)


def _parity(folder: Path) -> Files:
    record = {
        "schema": 1,
        "passed": True,
        "summary": "The same.",
        "files": {"model.safetensors": "0" * 64},
        "stages": {},
    }
    return _written(folder, {"parity.json": (json.dumps(record).encode(), JSON)})


def _read_parity(folder: Path) -> None:
    from electra_convert.hub.card.proof import read_record

    read_record(folder / "parity.json")


# Corpora


def _corpus(name: str, content: bytes, changed: Mutation) -> Callable[[Path], Files]:
    return lambda folder: _written(folder, {name: (content, changed)})


_TEXT = "The birds sing.\nThey are small.\n\nÄnother document.\r\n".encode() * 3
_JSON_LINES = b'{"text": "The birds sing.\\nThey are small.", "id": 1}\n{"text": null}\n{"text": "\\u00e9"}\n'
_CSV = b'id,text\n1,"The ""birds"", sing"\n2,They are small\n3,"two\nlines"\n'
_TSV = "1\tDie Vögel singen.\n2\tSie sind klein.\n".encode()


def _json_lines(random: Any, data: bytes) -> bytes:
    parts = data.splitlines()
    index = random.randrange(len(parts))
    parts[index] = JSON(random, parts[index])
    return b"\n".join(parts)


_ROWS = either(_json_lines, change.lines)
_GZIPPED = either(change.gzipped(TEXT))


def _zstd(random: Any, data: bytes) -> bytes:
    import pyarrow

    if random.random() < 0.3:
        return anywhere(random, data)
    plain = pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd").read()
    return _packed(TEXT(random, plain))


def _packed(data: bytes) -> bytes:
    import pyarrow

    made = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(made, "zstd") as stream:
        stream.write(data)
    return bytes(made.getvalue())


def _zstd_corpus(folder: Path) -> Files:
    return _written(folder, {"corpus.txt.zst": (_packed(_TEXT), _zstd)})


def _parquet(folder: Path) -> Files:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"id": [1, 2, 3], "text": ["The birds sing.", None, "é" * 20]})
    pyarrow.parquet.write_table(table, folder / "corpus.parquet", compression="snappy")
    return {"corpus.parquet": ((folder / "corpus.parquet").read_bytes(), anywhere)}


def _tfrecords(folder: Path) -> Files:
    from electra_convert.pretraining.corpus.tfrecords import frame

    def feature(name: bytes, values: Sequence[int]) -> bytes:
        packed = b"".join(map(encode_varint, values))
        return encode_content(
            1, encode_content(1, name) + encode_content(2, encode_content(3, encode_content(1, packed)))
        )

    names = (b"input_ids", b"input_mask", b"segment_ids")
    example = encode_content(1, b"".join(feature(name, [2, 500, 3, 0]) for name in names))
    changed = either(change.tfrecords, change.tfrecords, change.tfrecord_lengths)
    return _written(folder, {"corpus.tfrecord": (frame(example) * 2, changed)})


def _read_tfrecords(folder: Path) -> None:
    from electra_convert.pretraining.corpus.tfrecords import is_tfrecords, read_tfrecords

    is_tfrecords(folder / "corpus.tfrecord")
    for _ in read_tfrecords(folder / "corpus.tfrecord"):
        pass


def _read_corpus(column: str | int | None) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from electra_convert.pretraining.corpus.documents import lines_of_corpus
        from electra_convert.pretraining.corpus.files import corpus_files

        files = corpus_files([folder], column)
        if all(file.kind != "TFRecords" for file in files):
            for _ in lines_of_corpus(files):
                pass

    return read


# Runs


def _run(folder: Path) -> Files:
    record = {
        "schema": 1, "seed": 0, "precision": "float32", "corpus": {"key": "a", "sequences": 15, "tokens": 46},
        "train_vocab": None, "origins": {"discriminator": {"hidden_act": "hparams"}}, "lower_case": True,
        "strip_accents": True, "added_tokens": ["a"], "computed": {"device": "cpu", "threads": 1},
        "hparams": {"embedding_size": 8, "generator_hidden_size": 1.0, "max_word_length": 100,
                    "model_hparam_overrides": {"hidden_size": 16}, "tokenizer": "wordpiece", "vocab_size": 1500},
    }  # fmt: skip
    shutil.copy(FIXTURES / "vocab.txt", folder)
    return _written(folder, {"run.json": (json.dumps(record).encode(), JSON)})


def _read_run(folder: Path) -> None:
    from electra_convert.pretraining.run_record import read_run

    read_run(folder)


def _state(folder: Path) -> Files:
    """The state of a run beside its models, with the checksum of what was changed in it."""
    fingerprint = {"bytes": 1, "crc32c": f"{crc32c(b'a'):08x}"}
    content = {"schema": 1, "step": 2, "pending": [[7.5, 0.7, 48.0]], "files": {"model/config.json": fingerprint}}
    (folder / "step-2" / "model").mkdir(parents=True)
    (folder / "step-2" / "model" / "config.json").write_bytes(b"a")

    def signed(random: Any, data: bytes) -> bytes:
        changed = change.changed_value(random, content)
        if not isinstance(changed, dict):
            return JSON(random, data)
        return json.dumps({"crc32c": _checksum(changed), **changed}).encode("utf-8", "surrogatepass")

    whole = json.dumps({"crc32c": _checksum(content), **content}).encode()
    return _written(folder, {"step-2/state.json": (whole, either(signed, signed, JSON))})


def _checksum(content: Mapping[str, Any]) -> str:
    return f"{crc32c(json.dumps(content, sort_keys=True).encode()):08x}"


def _read_state(folder: Path) -> None:
    from electra_convert.pretraining.checkpoints import latest

    latest(folder)


def _metrics(folder: Path) -> Files:
    rows = b'{"kind": "eval", "step": 2, "loss": 7.5}\n{"kind": "train", "step": 4, "loss": null}\n'
    return _written(folder, {"metrics.jsonl": (rows, either(_json_lines, change.lines))})


def _read_metrics(folder: Path) -> None:
    from electra_convert.pretraining.reports import last_evaluation

    last_evaluation(folder)


READERS = (
    Reader("TensorFlow bundle", _bundle, _read_bundle),
    Reader("partitioned bundle", _partitioned, _read_bundle),
    Reader("object graph", _object_graph, _read_object_graph, 0.2),
    Reader("meta graph", _meta_graph, _read_meta_graph, 0.3),
    Reader("state file", _state_file, _read_state_file, 0.3),
    Reader("safetensors", _safetensors, _read_safetensors("model.safetensors")),
    Reader("shards", _shards, _read_safetensors("model.safetensors.index.json"), 2),
    Reader("Keras HDF5", _hdf5, _read_hdf5, 2),
    Reader("ONNX", _onnx, _read_onnx, 0.5),
    Reader("flax msgpack", _msgpack, _read_msgpack, 0.5),
    Reader("torch zip", _torch(zipped=True), _read_torch, 3, needs_framework=True),
    Reader("torch pickles", _torch(zipped=False), _read_torch, 3, needs_framework=True),
    Reader("model folder", _model_folder("config.json", "conversion.json"), _read_model_folder, 8),
    Reader(
        "tokenizer of a folder",
        _model_folder("tokenizer.json", "tokenizer_config.json", "vocab.txt"),
        _read_tokenizer_files,
        32,
    ),
    Reader("saved tokenizer", _saved_tokenizer, _read_saved_tokenizer),
    Reader("vocabulary", _vocabulary, _read_vocabulary, 0.3),
    Reader("config.json", _config, _read_config, 0.5),
    Reader("hparams.json", _hparams, _read_hparams, 0.5),
    Reader("checkpoint folder", _checkpoint_beside, _read_model_folder, 8),
    Reader("table of labels", _label_table, _read_label_table, 0.3),
    Reader("inputs.npz", _npz, _read_npz),
    Reader("golden.npz", _golden, _read_golden, 8),
    Reader("parity.json", _parity, _read_parity, 0.3),
    Reader("text", _corpus("corpus.txt", _TEXT, TEXT), _read_corpus(None), 0.3),
    Reader(
        "packed text",
        _corpus("corpus.txt.gz", gzip.compress(_TEXT), either(change.gzipped(TEXT))),
        _read_corpus(None),
    ),
    Reader("zstd text", _zstd_corpus, _read_corpus(None)),
    Reader(
        "JSON lines",
        _corpus("corpus.jsonl", _JSON_LINES, either(_json_lines, change.lines)),
        _read_corpus("text"),
        0.5,
    ),
    Reader("CSV", _corpus("corpus.csv", _CSV, TEXT), _read_corpus("text"), 0.3),
    Reader("TSV", _corpus("corpus.tsv", _TSV, TEXT), _read_corpus(2), 0.3),
    Reader("Parquet", _parquet, _read_corpus("text")),
    Reader("TFRecords", _tfrecords, _read_tfrecords, 0.5),
    Reader("run.json", _run, _read_run, 2),
    Reader("state.json", _state, _read_state, 0.5, needs_framework=True),
    Reader("metrics.jsonl", _metrics, _read_metrics, 0.3),
)
