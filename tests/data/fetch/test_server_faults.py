"""Servers that cut, lie, stall or are dead: the file arrives whole, or one error says why it does not."""

from __future__ import annotations

import hashlib
import json
import random
import socket
from pathlib import Path

import pytest

from tests.command_line import Done, vlrouting
from tests.data.fetch.local_server import LocalServer
from tests.data.fetch.made_archives import PICTURES, files_below, source, write_manifest, zip_bytes
from vlrouting.experiment.exit_status import ExitStatus

IMAGES = zip_bytes(PICTURES)
OTHER_IMAGES = zip_bytes({name: data[::-1] for name, data in PICTURES.items()})
ARCHIVE = "train2014.zip"


@pytest.fixture
def manifest(server: LocalServer, tmp_path: Path) -> Path:
    server.files[ARCHIVE] = IMAGES
    return of(server, tmp_path)


def of(server: LocalServer, folder: Path, content: bytes | None = IMAGES, **others: object) -> Path:
    """A manifest of the one archive."""
    entry = source(f"{server.url}/{ARCHIVE}", content, {"train2014": ["train2014"]}, **others)
    return write_manifest(folder / "manifest.yaml", entry)


def fetch(manifest: Path, *options: str | Path) -> Done:
    done = vlrouting("data", "fetch", "coco", "--manifest", manifest, "--root", manifest.parent / "root", *options)
    assert "Traceback" not in done.stderr
    return done


def is_complete(manifest: Path) -> bool:
    return files_below(manifest.parent / "root") == PICTURES


def is_absent(manifest: Path) -> bool:
    """Whether readers see nothing at all."""
    return files_below(manifest.parent / "root") == {} and not (manifest.parent / "root" / "train2014").exists()


def test_a_cut_connection_is_resumed(manifest: Path, server: LocalServer) -> None:
    server.cuts[ARCHIVE] = [30_000, 50_000, 0, 1, *[2000] * 15]
    assert fetch(manifest).returncode == 0 and is_complete(manifest)
    first, *resumed = server.ranges_of(ARCHIVE)
    assert first == "" and len(resumed) >= 3 and all(resumed)
    assert server.sent < len(IMAGES) + 100_000


def test_a_server_that_always_cuts_is_given_up_and_resumed_later(manifest: Path, server: LocalServer) -> None:
    server.cuts[ARCHIVE] = [70_000, *[0] * 20]
    done = fetch(manifest)
    assert done.returncode == ExitStatus.PREEMPTED and "cut" in done.stderr and "resumes" in done.stderr
    assert is_absent(manifest) and len(server.requests) <= 14
    server.cuts.clear()
    server.requests.clear()
    assert fetch(manifest).returncode == 0 and is_complete(manifest)
    ((_, ranged),) = server.requests
    assert ranged.startswith("bytes=") and int(ranged[6:-1]) > 0


def test_a_date_is_enough_to_resume_from_the_same_server(server: LocalServer, tmp_path: Path) -> None:
    """A mirror may give the same date to other bytes."""
    server.files |= {ARCHIVE: OTHER_IMAGES, "mirror.zip": IMAGES}
    server.etags, server.modified = False, "Mon, 06 Jan 2020 10:00:00 GMT"
    server.cuts[ARCHIVE] = [70_000, *[0] * 20]
    manifest = of(server, tmp_path, None, mirrors=[f"{server.url}/mirror.zip"])
    assert fetch(manifest).returncode == ExitStatus.PREEMPTED and len(server.ranges_of(ARCHIVE)[-1]) > 0
    del server.files[ARCHIVE]
    server.cuts.clear()
    assert fetch(manifest).returncode == 0 and is_complete(manifest)
    assert server.ranges_of("mirror.zip")[-1] == ""


@pytest.mark.parametrize("etags", [True, False])
def test_without_ranges_it_starts_again(etags: bool, manifest: Path, server: LocalServer) -> None:
    server.ranges, server.etags = False, etags
    server.cuts[ARCHIVE] = [30_000, 100_000]
    assert fetch(manifest).returncode == 0 and is_complete(manifest)
    assert len(server.requests) == 3


def test_content_that_changes_while_it_is_fetched_is_not_mixed(server: LocalServer, tmp_path: Path) -> None:
    server.files[ARCHIVE] = OTHER_IMAGES
    manifest = of(server, tmp_path, None)  # nothing is known of it, so that mixing would not be noticed by a checksum
    server.cuts[ARCHIVE] = [70_000, *[0] * 20]
    assert fetch(manifest).returncode == ExitStatus.PREEMPTED
    server.cuts.clear()
    server.files[ARCHIVE] = IMAGES
    assert len(IMAGES) == len(OTHER_IMAGES)
    assert fetch(manifest).returncode == 0 and is_complete(manifest)


def test_a_wrong_part_is_dropped(manifest: Path, server: LocalServer) -> None:
    server.wrong_part = True
    server.cuts[ARCHIVE] = [30_000]
    assert fetch(manifest).returncode == 0 and is_complete(manifest)
    assert [bool(ranged) for ranged in server.ranges_of(ARCHIVE)] == [False, True, False]


def test_an_md5_counts_too(server: LocalServer, tmp_path: Path) -> None:
    server.files[ARCHIVE] = IMAGES
    wrong = of(server, tmp_path, None, md5=hashlib.md5(b"other").hexdigest())
    done = fetch(wrong)
    assert done.returncode == 2 and "has the md5" in done.stderr and is_absent(wrong)
    right = of(server, tmp_path, None, md5=hashlib.md5(IMAGES).hexdigest())
    assert fetch(right).returncode == 0 and is_complete(right)


@pytest.mark.parametrize("where", ["start", "middle"])
def test_another_checksum_is_refused(where: str, manifest: Path, server: LocalServer) -> None:
    place = 0 if where == "start" else len(IMAGES) // 2
    server.files[ARCHIVE] = IMAGES[:place] + bytes([IMAGES[place] ^ 1]) + IMAGES[place + 1 :]
    done = fetch(manifest)
    assert done.returncode == 2 and "sha256" in done.stderr and ARCHIVE in done.stderr
    assert is_absent(manifest)
    server.files[ARCHIVE] = IMAGES
    assert fetch(manifest).returncode == 0 and is_complete(manifest)


def test_another_size_is_refused_before_it_is_downloaded(manifest: Path, server: LocalServer) -> None:
    server.files[ARCHIVE] = IMAGES + bytes(50_000_000)
    done = fetch(manifest)
    assert done.returncode == 2 and f"not the {len(IMAGES):,} of the manifest" in done.stderr
    assert is_absent(manifest) and server.sent < 25_000_000  # the connection may take some


@pytest.mark.parametrize("size", [None, len(IMAGES)])
def test_a_server_that_names_no_size(size: int | None, server: LocalServer, tmp_path: Path) -> None:
    server.files[ARCHIVE], server.lengths = IMAGES, False
    server.cuts[ARCHIVE] = [30_000]
    manifest = of(server, tmp_path, IMAGES if size else None)
    done = fetch(manifest)
    if size:
        assert done.returncode == 0 and is_complete(manifest)
    else:
        assert done.returncode == 2 and "does not say how long" in done.stderr and is_absent(manifest)


def test_a_web_page_in_place_of_the_file(server: LocalServer, tmp_path: Path) -> None:
    server.files[ARCHIVE] = IMAGES
    server.pages.add(ARCHIVE)
    manifest = of(server, tmp_path, None)
    done = fetch(manifest)
    assert done.returncode == 2 and "web page" in done.stderr and is_absent(manifest)
    server.pages.clear()
    assert fetch(manifest).returncode == 0 and is_complete(manifest)


def test_a_mirror_is_asked_when_the_first_server_does_not_give_it(server: LocalServer, tmp_path: Path) -> None:
    server.files["mirror/images.zip"] = IMAGES
    server.pages.add("captive/images.zip")
    mirrors = [f"{server.url}/captive/images.zip", f"{server.url}/mirror/images.zip"]
    manifest = of(server, tmp_path, None, mirrors=mirrors)
    assert fetch(manifest).returncode == 0 and is_complete(manifest)
    assert [path for path, _ in server.requests] == [ARCHIVE, "captive/images.zip", "mirror/images.zip"]
    record = json.loads((tmp_path / "root" / ".fetch" / "records" / f"{ARCHIVE}.json").read_text())
    assert record["origin"] == mirrors[1]


def test_a_mirror_of_other_bytes_does_not_undo_what_has_arrived(server: LocalServer, tmp_path: Path) -> None:
    server.files |= {ARCHIVE: IMAGES, "mirror.zip": OTHER_IMAGES}
    server.cuts[ARCHIVE] = [70_000, *[0] * 20]
    manifest = of(server, tmp_path, None, mirrors=[f"{server.url}/mirror.zip"])
    done = fetch(manifest)
    assert done.returncode == ExitStatus.PREEMPTED and "cannot continue" in done.stderr and is_absent(manifest)
    server.cuts.clear()
    server.requests.clear()
    assert fetch(manifest).returncode == 0 and is_complete(manifest)
    assert [path for path, ranged in server.requests if ranged] == [ARCHIVE]


def test_a_mirror_takes_over_from_a_server_that_is_gone(server: LocalServer, tmp_path: Path) -> None:
    server.files |= {ARCHIVE: OTHER_IMAGES, "mirror.zip": IMAGES}
    server.cuts[ARCHIVE] = [70_000, *[0] * 20]
    manifest = of(server, tmp_path, None, mirrors=[f"{server.url}/mirror.zip"])
    assert fetch(manifest).returncode == ExitStatus.PREEMPTED
    del server.files[ARCHIVE]
    server.cuts.clear()
    assert fetch(manifest).returncode == 0 and is_complete(manifest)


def test_the_users_mirror_is_asked_first(manifest: Path, server: LocalServer) -> None:
    server.files[f"lab/{ARCHIVE}"] = IMAGES
    assert fetch(manifest, "--mirror", f"{server.url}/lab/").returncode == 0 and is_complete(manifest)
    assert [path for path, _ in server.requests] == [f"lab/{ARCHIVE}"]


def test_all_servers_are_dead(server: LocalServer, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    entries = [
        source(f"{nobody}/{n}.zip", IMAGES, {f"folder{n}": ["train2014"]}, mirrors=[f"{server.url}/{n}"])
        for n in (1, 2)
    ]
    manifest = write_manifest(tmp_path / "manifest.yaml", *entries)
    done = fetch(manifest)
    assert done.returncode == ExitStatus.PREEMPTED
    lines = [line for line in done.stderr.splitlines() if "cannot be downloaded" in line]
    assert len(lines) == 2 and all("no connection" in line and "404" in line for line in lines)
    assert done.stderr.count("no connection; trying again") == 1  # the second file does not wait for the dead server
    entries = [{**entry, "mirrors": []} for entry in entries]
    done = fetch(write_manifest(manifest, *entries))
    (line,) = [line for line in done.stderr.splitlines() if "cannot be downloaded" in line and "1.zip" in line]
    assert (
        done.returncode == ExitStatus.PREEMPTED and "2.zip" in line and f"to {nobody.removeprefix('http://')};" in line
    )


def test_a_busy_server_is_asked_again(manifest: Path, server: LocalServer) -> None:
    server.statuses[ARCHIVE] = [503, 429, 500]
    assert fetch(manifest).returncode == 0 and is_complete(manifest) and len(server.requests) == 4


def test_a_slow_server_is_waited_for_and_a_silent_one_is_not(manifest: Path, server: LocalServer) -> None:
    server.pause = 0.02
    server.stalls[ARCHIVE] = 1 << 16
    assert fetch(manifest).returncode == 0 and is_complete(manifest)
    assert len(server.requests) == 2 and server.requests[1][1].startswith("bytes=")


def test_what_is_no_archive(server: LocalServer, tmp_path: Path) -> None:
    for content, said in ((b"{}" * 1000, "no whole zip archive"), (IMAGES[:-5000], "no whole zip archive")):
        server.files[ARCHIVE] = content
        manifest = of(server, tmp_path, None)
        done = fetch(manifest)
        assert done.returncode == 2 and said in done.stderr and is_absent(manifest)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ARCHIVE).write_bytes(IMAGES[: len(IMAGES) // 2])
    done = fetch(manifest, "--from", tmp_path / "mine")
    assert done.returncode == 2 and str(tmp_path / "mine" / ARCHIVE) in done.stderr and is_absent(manifest)
    assert (tmp_path / "mine" / ARCHIVE).stat().st_size == len(IMAGES) // 2


def test_an_archive_of_the_users_that_has_another_size(server: LocalServer, tmp_path: Path) -> None:
    manifest = of(server, tmp_path, None, size=len(IMAGES) + 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ARCHIVE).write_bytes(IMAGES)
    done = fetch(manifest, "--from", tmp_path / "mine")
    assert done.returncode == 2 and f"{tmp_path / 'mine' / ARCHIVE}: has {len(IMAGES):,} bytes" in done.stderr
    assert is_absent(manifest) and not server.requests


def test_a_damaged_member_is_found_though_nothing_is_known_of_the_archive(server: LocalServer, tmp_path: Path) -> None:
    content = bytearray(IMAGES)
    content[len(content) // 2] ^= 0xFF
    server.files[ARCHIVE] = bytes(content)
    manifest = of(server, tmp_path, None)
    done = fetch(manifest)
    assert done.returncode == 2 and "damaged at train2014/" in done.stderr and is_absent(manifest)
    server.files[ARCHIVE] = IMAGES
    assert fetch(manifest).returncode == 0 and is_complete(manifest)


def test_any_pattern_of_cuts_gives_the_same_files(manifest: Path, server: LocalServer) -> None:
    for seed in range(5):
        draw = random.Random(seed)
        server.cuts[ARCHIVE] = [draw.randrange(len(IMAGES)) for _ in range(4)]
        root = manifest.parent / f"root{seed}"
        done = vlrouting("data", "fetch", "coco", "--manifest", manifest, "--root", root)
        assert done.returncode == 0, done.stderr
        assert files_below(root) == PICTURES
