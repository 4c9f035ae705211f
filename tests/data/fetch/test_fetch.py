"""`vlrouting data fetch` from a server on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.filesize import decimal

from tests.command_line import Done, vlrouting
from tests.data.fetch.local_server import LocalServer
from tests.data.fetch.made_archives import (
    CAPTIONS,
    OTHERS,
    PICTURES,
    files_below,
    source,
    write_manifest,
    zip_bytes,
)
from vlrouting import progress_bar, verbosity

IMAGES = zip_bytes(PICTURES)
ANNOTATIONS = zip_bytes({**CAPTIONS, **OTHERS})
LISTS = b'[{"a": 1}]'


@pytest.fixture
def manifest(server: LocalServer, tmp_path: Path) -> Path:
    """An archive of images, one of annotations, and a plain file that no split needs."""
    server.files |= {"train2014.zip": IMAGES, "annotations.zip": ANNOTATIONS, "lists.json": LISTS}
    annotations = {path: ["train2014"] for path in CAPTIONS}
    return write_manifest(
        tmp_path / "manifest.yaml",
        source(f"{server.url}/train2014.zip", IMAGES, {"train2014": ["train2014"]}),
        source(f"{server.url}/annotations.zip", ANNOTATIONS, annotations, kind="annotations"),
        source(f"{server.url}/lists.json", LISTS, {"lists.json": []}, kind="annotations"),
    )


def fetch(manifest: Path, *options: str | Path) -> Done:
    """Fetch into `root` beside the manifest."""
    return vlrouting("data", "fetch", "coco", "--manifest", manifest, "--root", manifest.parent / "root", *options)


def test_everything_is_fetched_and_repeating_does_nothing(manifest: Path, server: LocalServer) -> None:
    done = fetch(manifest)
    assert done.returncode == 0, done.stderr
    root = manifest.parent / "root"
    assert files_below(root) == {**PICTURES, **CAPTIONS}
    assert not any((root / ".fetch" / "unfinished").iterdir())
    record = json.loads((root / ".fetch" / "records" / "train2014.zip.json").read_text())
    assert record["size"] == len(IMAGES) and record["files"] == len(PICTURES)
    assert record["origin"] == f"{server.url}/train2014.zip" and record["provides"] == ["train2014"]
    asked = len(server.requests)
    again = fetch(manifest)
    assert again.returncode == 0 and "nothing to do" in again.stdout and len(server.requests) == asked


def test_quiet_prints_the_result_alone(manifest: Path, server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "LINE_SECONDS", 0.0)
    monkeypatch.setenv(verbosity.VARIABLE, "")
    done = fetch(manifest)
    assert f"of {decimal(len(IMAGES))}, " in done.stderr and " min left" in done.stderr
    root = manifest.parent / "quiet"
    done = vlrouting("-q", "data", "fetch", "coco", "--manifest", manifest, "--root", root)
    assert (done.stdout, done.stderr) == (f"{root}: fetched, and all is there\n", "")


def test_only_what_is_asked_for(manifest: Path, server: LocalServer) -> None:
    root = manifest.parent / "root"
    assert fetch(manifest, "--only", "annotations").returncode == 0
    assert files_below(root).keys() == CAPTIONS.keys()
    assert fetch(manifest, "--file", "lists.json").returncode == 0
    assert files_below(root).keys() == {*CAPTIONS, "lists.json"}
    assert fetch(manifest, "--split", "train2014").returncode == 0
    assert files_below(root) == {**CAPTIONS, **PICTURES, "lists.json": LISTS}
    assert [path for path, _ in server.requests] == ["annotations.zip", "lists.json", "train2014.zip"]


def test_what_is_there_is_left(manifest: Path, server: LocalServer, tmp_path: Path) -> None:
    (own := tmp_path / "coco" / "train2014").mkdir(parents=True)
    (own / "mine.jpg").write_bytes(b"mine")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "train2014").symlink_to(own)
    assert fetch(manifest).returncode == 0
    assert [file.name for file in own.iterdir()] == ["mine.jpg"]
    assert (tmp_path / "root" / "train2014").is_symlink() and [path for path, _ in server.requests] == [
        "annotations.zip"
    ]


def test_what_is_in_the_way_is_named(manifest: Path, server: LocalServer, tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    elsewhere.mkdir()
    root.mkdir()
    for path, target, said in (
        ("train2014", tmp_path / "nowhere", "which is nothing"),
        ("train2014", elsewhere, "which is an empty folder"),
        ("annotations", elsewhere, f"is a link out of {root}"),
    ):
        (root / path).symlink_to(target)
        done = fetch(manifest)
        assert done.returncode == 2 and f"{root / path} is a link" in done.stderr and said in done.stderr
        (root / path).unlink()
    (root / "annotations").write_text("")
    done = fetch(manifest)
    assert done.returncode == 2 and "is a file, and is to be a folder" in done.stderr
    (root / "annotations").unlink()
    assert not server.requests and not any(elsewhere.iterdir())
    (root / "train2014").mkdir()  # empty, so nobody's data
    assert fetch(manifest).returncode == 0 and files_below(root) == {**PICTURES, **CAPTIONS}


def test_archives_are_kept_if_asked_and_used_again(manifest: Path, server: LocalServer, tmp_path: Path) -> None:
    assert fetch(manifest, "--keep-archives").returncode == 0
    kept = tmp_path / "root" / "archives"
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        "train2014.zip": IMAGES,
        "annotations.zip": ANNOTATIONS,
    }
    server.files.clear()
    done = vlrouting("data", "fetch", "coco", "--manifest", manifest, "--root", tmp_path / "new", "--from", kept)
    assert done.returncode == 0 and files_below(tmp_path / "new") == {**PICTURES, **CAPTIONS}
    assert (kept / "train2014.zip").read_bytes() == IMAGES


def test_what_a_run_left_of_something_that_is_there_now_is_removed(
    manifest: Path, server: LocalServer, tmp_path: Path
) -> None:
    (left := tmp_path / "root" / ".fetch" / "unfinished" / "train2014.zip").mkdir(parents=True)
    (left / "train2014.zip").write_bytes(IMAGES)
    for name, data in {**PICTURES, **CAPTIONS}.items():
        (tmp_path / "root" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "root" / name).write_bytes(data)
    done = fetch(manifest)
    assert done.returncode == 0 and "nothing to do" in done.stdout and not server.requests
    assert not left.exists() and files_below(tmp_path / "root") == {**PICTURES, **CAPTIONS}


def test_a_dry_run_shows_and_writes_nothing(manifest: Path, server: LocalServer) -> None:
    done = fetch(manifest, "--dry-run")
    assert done.returncode == 0
    assert f"{len(IMAGES):,} bytes" in done.stdout and "CC BY 4.0" in done.stdout and server.url in done.stdout
    assert not (manifest.parent / "root").exists() and not server.requests


def test_an_archive_that_must_be_asked_for(server: LocalServer, tmp_path: Path) -> None:
    server.files["lists.json"] = LISTS
    asked = {
        "page": "http://127.0.0.1/form",
        "file": "images.zip",
        "kind": "images",
        "provides": {"train2014": ["train2014"]},
    }
    listed = source(f"{server.url}/lists.json", LISTS, {"lists.json": ["train2014"]}, kind="annotations")
    manifest = write_manifest(tmp_path / "manifest.yaml", asked, listed)
    done = fetch(manifest)
    assert done.returncode == 2 and "http://127.0.0.1/form" in done.stderr and "--from" in done.stderr
    assert files_below(tmp_path / "root") == {"lists.json": LISTS}
    assert fetch(manifest, "--only", "annotations").returncode == 0
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "images.zip").write_bytes(IMAGES)
    assert fetch(manifest, "--from", tmp_path / "downloads").returncode == 0
    assert files_below(tmp_path / "root") == {"lists.json": LISTS, **PICTURES}


def test_wrong_names_get_a_suggestion(manifest: Path) -> None:
    for options, said in {
        ("--split", "train2041"): "Did you mean 'train2014'?",
        ("--file", "list.json"): "Did you mean 'lists.json'?",
        ("--only", "pictures"): "annotations, images",
        ("--from", "nowhere"): "nowhere: no such folder",
        ("--from", str(manifest.parent)): "has none of annotations.zip, train2014.zip",
    }.items():
        done = fetch(manifest, *options)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    done = vlrouting("data", "fetch", "cocoo")
    assert done.returncode == 2 and "Did you mean 'coco'?" in done.stderr
