"""The runtime of the page: downloaded once, held to its hash, kept; and what is said where it cannot be had."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from dataclasses import replace

import pytest
from support.static_server import static

from electra_convert.errors import SourceError, UsageError
from electra_convert.site.runtime import Package, runtime_archive, runtime_files


@pytest.fixture
def package(tmp_path):
    """A package of one file, in a registry of its own."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("package/dist/run.mjs", "package/other"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"run"))
    content = packed.getvalue()
    integrity = base64.b64encode(hashlib.sha512(content).digest()).decode()
    made = Package("runs", "1.2.3", integrity, len(content), {"package/dist/run.mjs": "run.js"})
    place = tmp_path / "registry" / "runs" / "-" / made.archive
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    return made


@pytest.fixture
def registry(package, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with static(tmp_path / "registry") as (address, asked):
        monkeypatch.setenv("npm_config_registry", address)
        yield asked


def test_the_runtime_is_downloaded_once_and_its_files_taken_by_their_names(package, registry):
    first, second = runtime_archive(package), runtime_archive(package)
    assert first == second
    assert registry == ["/runs/-/runs-1.2.3.tgz"]
    assert runtime_files(second, package) == {"run.js": b"run"}
    assert [path.name for path in second.parent.iterdir()] == [package.archive]


def test_what_was_kept_and_damaged_is_downloaded_again(package, registry):
    kept = runtime_archive(package)
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    assert runtime_archive(package).read_bytes() == whole
    assert len(registry) == 2


@pytest.mark.parametrize("change", [{"integrity": "other"}, {"size": 5}])
def test_another_archive_than_was_meant_is_refused_and_not_kept(package, registry, tmp_path, change):
    with pytest.raises(SourceError, match=r"is not the runs-1\.2\.3\.tgz that was meant: its SHA-512 differs"):
        runtime_archive(replace(package, **change))
    assert not list((tmp_path / "cache").rglob("*.*"))


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/", "http://[/"])
def test_without_a_network_it_is_said_which_file_to_put_where(package, registry, tmp_path, monkeypatch, address):
    monkeypatch.setenv("npm_config_registry", address)
    with pytest.raises(SourceError, match=r"cannot be downloaded") as caught:
        runtime_archive(package)
    kept = tmp_path / "cache" / "electra-convert" / "packages" / package.archive
    assert caught.value.hint == f"It is downloaded once. Without a network, bring that file from elsewhere to {kept}."
    kept.write_bytes((tmp_path / "registry" / "runs" / "-" / package.archive).read_bytes())
    assert runtime_archive(package) == kept


def test_a_registry_that_is_no_address_of_the_web_is_refused(package, registry, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "file:///etc/")
    with pytest.raises(UsageError, match="npm_config_registry is 'file:///etc/'"):
        runtime_archive(package)
