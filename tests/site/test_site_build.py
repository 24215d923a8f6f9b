"""convert --to web: which files it makes of which model, and which models it refuses; no browser is needed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import run

from electra_convert.hub.site_folder import is_site, read_site
from electra_convert.site import build, characters
from electra_convert.site.parts import parts_of_folders

VOCAB = ("--vocab", FIXTURES / "vocab.txt")
RUNTIME = {"ort.wasm.min.js": b"a", "ort-wasm-simd-threaded.js": b"b", "ort-wasm-simd-threaded.wasm": b"c"}


@pytest.fixture
def runtime(monkeypatch):
    """Files in place of the runtime's, and few characters tried: a page is made, and not run."""
    monkeypatch.setattr(build, "runtime_archive", lambda: Path("archive"))
    monkeypatch.setattr(build, "runtime_files", lambda _: RUNTIME)
    monkeypatch.setattr(characters, "_TRIED", [range(0x20, 0x250)])


@pytest.fixture
def to_web(runtime, tmp_path):
    def convert(source: object, *options: object):
        return run("convert", source, tmp_path / "page", "--to", "web", *options)

    return convert


def files_of(folder: Path) -> dict[str, int]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.stat().st_size for path in paths}


def test_a_pair_becomes_a_folder_that_names_every_file_it_loads(to_web, tmp_path):
    made = json.loads(to_web(FIXTURES / "default", *VOCAB, "--json").out)
    place = tmp_path / "page"
    assert made["to"] == "web"
    assert made["files"] == files_of(place)
    assert not [name for name in made["files"] if Path(name).name.startswith(".")]
    settings = json.loads((place / "settings.json").read_text())
    assert settings["models"].keys() == {"discriminator", "generator"}
    # One tokenizer for both.
    assert settings["models"]["generator"]["tokenizer"] == "discriminator/tokenizer.json"
    assert settings["sizes"] == {name: made["files"][name] for name in settings["sizes"]}
    index = (place / "index.html").read_text()
    loaded = set(re.findall(r'(?:src|href)="([\w.]+)"', index))
    for script in place.glob("*.js"):
        loaded |= {*re.findall(r'from "\./([\w./-]+)"', script.read_text())}
    assert loaded <= made["files"].keys()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', index)[1]
    assert "default-src &#39;none&#39;" in policy
    assert "unsafe-inline" not in policy


def test_a_record_of_the_verification_stays_with_the_model(runtime, tmp_path):
    folder = tmp_path / "model"
    assert run("convert", FIXTURES / "default", folder, "--to", "onnx", "--model", "discriminator", *VOCAB).code == 0
    assert (
        "discriminator/parity.json"
        not in parts_of_folders({"discriminator": folder}, "it", False)["discriminator"].files
    )
    (folder / "parity.json").write_text("{}")
    assert (
        "discriminator/parity.json" in parts_of_folders({"discriminator": folder}, "it", False)["discriminator"].files
    )


def test_of_a_model_of_8_bits_the_page_has_that_alone(to_web, tmp_path):
    assert to_web(FIXTURES / "default", *VOCAB, "--quantize", "int8").code == 0
    settings = json.loads((tmp_path / "page" / "settings.json").read_text())
    assert settings["models"]["generator"]["model"] == "generator/onnx/model_quantized.onnx"
    assert not list((tmp_path / "page").rglob("model.onnx"))


@pytest.mark.parametrize(
    ("source", "page"),
    [("finetuned/mnli", "Which class is it?"), ("finetuned/chunk", "What are the words?")],
)
def test_a_fine_tuned_model_gets_the_page_of_its_kind(to_web, tmp_path, source, page):
    assert to_web(FIXTURES / source, *VOCAB).code == 0
    assert page in (tmp_path / "page" / "index.html").read_text()
    assert (tmp_path / "page" / "answers.js").is_file()
    assert not (tmp_path / "page" / "app.js").exists()


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("default", (*VOCAB, "--model", "generator"), "has neither head"),
        ("finetuned/squad_joint", VOCAB, "a model fine-tuned for text-classification, regression"),
        ("finetuned/mrpc_chunk", VOCAB, "was fine-tuned for several tasks: chunk, mrpc"),
        ("default", (*VOCAB, "--no-tokenizer"), "--no-tokenizer does not go with --to web"),
        ("default", (*VOCAB, "--dtype", "float16"), "--dtype float16 does not go with --to onnx"),
        ("default", (), "has no tokenizer, which its page needs"),
    ],
)
def test_what_no_page_can_be_made_of_is_refused_and_nothing_is_left(to_web, tmp_path, source, options, said):
    ran = to_web(FIXTURES / source, *options)
    assert ran.code != 0
    assert said in ran.err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_kept_unless_it_may_be_replaced(to_web, tmp_path):
    (tmp_path / "page").mkdir()
    assert "already exists" in to_web(FIXTURES / "default", *VOCAB).err
    assert to_web(FIXTURES / "default", *VOCAB, "--overwrite", "--model", "discriminator").code == 0
    settings = json.loads((tmp_path / "page" / "settings.json").read_text())
    assert settings["models"].keys() == {"discriminator"}


def test_a_dry_run_downloads_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "runtime_archive", lambda: pytest.fail("downloaded"))
    ran = run("convert", FIXTURES / "default", tmp_path / "page", "--to", "web", *VOCAB, "--dry-run")
    assert ran.code == 0
    assert not list(tmp_path.iterdir())


def test_the_folder_is_a_static_space_that_upload_takes_whole(to_web, tmp_path):
    import yaml

    to_web(FIXTURES / "default", *VOCAB)
    assert is_site(tmp_path / "page")
    published = read_site(tmp_path / "page")
    assert {file.name: file.size for file in published.files} == files_of(tmp_path / "page")
    assert published.left == ()
    front = yaml.safe_load((tmp_path / "page" / "README.md").read_text().split("---\n")[1])
    assert front["sdk"] == "static"
    assert front["app_file"] == "index.html"
    assert len(front["short_description"]) <= 60


def test_no_script_of_the_page_names_another_place(to_web, tmp_path):
    to_web(FIXTURES / "default", *VOCAB)
    for path in (tmp_path / "page").glob("*.[jch]*"):
        if path.suffix in {".js", ".css", ".html"}:
            assert not re.findall(r"https?://(?!localhost:8000|www\.w3\.org/2000/svg)", path.read_text()), path.name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": {"type": "BPE"}}, "is of the kind BPE"),
        ({"normalizer": {"type": "NFKC"}}, r"\(its normalizer\)"),
        ({"pre_tokenizer": {"type": "ByteLevel"}}, r"\(its pre_tokenizer\)"),
        ({"added_tokens": [{"content": "a", "single_word": False, "lstrip": True, "rstrip": False}]}, "with a,"),
    ],
)
def test_a_tokenizer_that_the_page_has_no_code_for_is_refused(change, said):
    from electra_convert.errors import VocabularyError
    from electra_convert.tokenizer.encode import TokenizerSettings, splitting

    definition = json.loads(splitting(TokenizerSettings(True, True)).to_str())
    with pytest.raises(VocabularyError, match=f"the tokenizer of my-model.*{said}"):
        characters._require_known({**definition, **change}, "my-model")
