import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_bundle_files import PREFIXES, refusal_of

from electra_convert.errors import SourceError
from electra_convert.formats.tf_bundle import CheckpointState, encode_state, index_path, latest_prefix, read_state


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: prefix.parent.name)
def test_a_real_file_is_read_and_written_again(prefix):
    path = prefix.parent / "checkpoint"
    assert read_state(path) == CheckpointState(prefix.name, (prefix.name,))
    assert encode_state(prefix.name) == path.read_bytes()
    assert latest_prefix(path) == prefix


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=20).map(lambda name: name.decode("utf-8", "surrogateescape")))
def test_any_name_comes_back(tmp_path_factory, name):
    path = tmp_path_factory.getbasetemp() / "checkpoint"
    path.write_bytes(encode_state(name))
    assert read_state(path) == CheckpointState(name, (name,))


@pytest.mark.parametrize(
    ("text", "latest"),
    [
        (rb'model_checkpoint_path: "caf\303\251-1"', "café-1"),
        (rb"model_checkpoint_path: 'it\'s'", "it's"),
        (rb'model_checkpoint_path: "a\tb\\c\x41\"\7"', 'a\tb\\cA"\a'),
        (b'model_checkpoint_path: "one" "two"', "onetwo"),
        (b'# comment\n\n model_checkpoint_path : "a" ;', "a"),
        (b'model_checkpoint_path: "old"\nmodel_checkpoint_path: "new"', "new"),
        ('model_checkpoint_path: "é"'.encode(), "é"),
    ],
)
def test_text_is_unescaped_as_in_c(tmp_path, text, latest):
    path = tmp_path / "checkpoint"
    path.write_bytes(text)
    assert read_state(path).latest == latest


def test_timestamps_are_passed_over_and_all_paths_kept_in_order(tmp_path):
    path = tmp_path / "checkpoint"
    path.write_text(
        'model_checkpoint_path: "m-2"\nall_model_checkpoint_paths: "m-1"\nall_model_checkpoint_paths: "m-2"\n'
        "all_model_checkpoint_timestamps: 1600000000.5\nlast_preserved_timestamp: -1e9\n"
    )
    assert read_state(path) == CheckpointState("m-2", ("m-1", "m-2"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "names no checkpoint"),
        (b'model_checkpoint_path: ""', "names no checkpoint"),
        (b'all_model_checkpoint_paths: "a"', "names no checkpoint"),
        (b"junk", "line 1 is not"),
        (b'model_checkpoint_path: "a"\nmodel_checkpoint_path: "b', "line 2 is not"),
        (b'model_checkpoint_path: "a"\n\nother: "b"', "line 3 is not"),
        (b"model_checkpoint_path: 3", "line 1 is not"),
        (b"\x93NUMPY\x01\0\xff", "line 1 is not"),
        (b"a" * 2_000_000, "it has 2000000 bytes"),
    ],
)
def test_what_is_no_state_file_is_refused(tmp_path, text, complaint):
    path = tmp_path / "checkpoint"
    path.write_bytes(text)
    with pytest.raises(SourceError, match=f"is not a TensorFlow checkpoint state file: .*{complaint}"):
        read_state(path)


@settings(deadline=None)
@given(st.binary(max_size=80) | st.text("model_checkpoint_path:\"\\'# \n07", max_size=80).map(str.encode))
def test_any_bytes_are_a_state_file_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "checkpoint"
    path.write_bytes(text)
    assert (refusal_of(lambda: latest_prefix(path)) or "").isprintable()


def state(folder, latest):
    folder.mkdir(exist_ok=True)
    (folder / "checkpoint").write_bytes(encode_state(latest))
    return folder / "checkpoint"


def test_a_relative_path_is_of_the_folder(tmp_path):
    index_path(tmp_path / "m-1").touch()
    assert latest_prefix(state(tmp_path, "m-1")) == tmp_path / "m-1"


def test_an_absolute_path_is_taken_as_it_is(tmp_path):
    index_path(tmp_path / "m-1").touch()
    assert latest_prefix(state(tmp_path / "elsewhere", str(tmp_path / "m-1"))) == tmp_path / "m-1"


def test_an_absolute_path_of_before_the_folder_was_moved_is_found_beside_the_file(tmp_path):
    index_path(tmp_path / "m-1").touch()
    assert latest_prefix(state(tmp_path, "/elsewhere/run/m-1")) == tmp_path / "m-1"


def test_a_checkpoint_in_the_old_format_is_found_too(tmp_path):
    (tmp_path / "m-1").touch()
    assert latest_prefix(state(tmp_path, "m-1")) == tmp_path / "m-1"


@pytest.mark.parametrize("latest", ["/elsewhere/m-1", "run/m-1", "/"])
def test_a_checkpoint_that_is_nowhere_is_an_error_that_names_both_places(tmp_path, latest):
    with pytest.raises(SourceError, match=r"but neither .*\.index nor .*\.index is there$"):
        latest_prefix(state(tmp_path, latest))


@pytest.mark.parametrize("latest", ["m-1", "a" * 5000, "nul\0", ".", "\udcff"])
def test_a_checkpoint_that_is_not_beside_the_file_is_an_error_that_names_the_place_once(tmp_path, latest):
    with pytest.raises(SourceError, match=r"^.*/checkpoint names the checkpoint .*, but (?!neither).* is not there$"):
        latest_prefix(state(tmp_path, latest))
