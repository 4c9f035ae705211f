"""Archives that would leave the data root, fill the disk or hold something else: nothing of them is unpacked."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command_line import vlrouting
from tests.data.fetch.local_server import LocalServer
from tests.data.fetch.made_archives import source, write_manifest, zip_bytes
from vlrouting.data.example import DataError
from vlrouting.data.fetch.unpack import DamagedArchive, check_archive, unpack

GOOD = {"folder/a.jpg": b"a" * 50, "folder/b.jpg": b"b" * 70, "other.json": b"{}"}


def with_member(name: str, mode: int = 0, data: bytes = b"x", flags: int = 0) -> bytes:
    """The good archive and one member more."""
    content = io.BytesIO(zip_bytes(GOOD))
    with zipfile.ZipFile(content, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        member = zipfile.ZipInfo("placeholder")
        member.filename = member.orig_filename = name
        member.external_attr = mode << 16
        archive.writestr(member, data)
        archive.infolist()[-1].flag_bits |= flags
    return content.getvalue()


def patched(content: bytes, name: str, *fields: tuple[int, int, int, str]) -> bytes:
    """Change fields of a member: offset in its local header (-1: none), in the directory, value, struct format."""
    changed = bytearray(content)
    local, central = content.index(b"PK\x03\x04", content.index(name.encode()) - 30), content.rindex(name.encode()) - 46
    for in_local, in_central, value, layout in fields:
        struct.pack_into(layout, changed, central + in_central, value)
        if in_local >= 0:
            struct.pack_into(layout, changed, local + in_local, value)
    return bytes(changed)


UNSAFE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a way up": (lambda: with_member("../evil.jpg"), "leads out of the folder"),
    "a way up inside": (lambda: with_member("folder/../../evil.jpg"), "leads out of the folder"),
    "an absolute path": (lambda: with_member("/tmp/evil.jpg"), "has an absolute path"),
    "a drive": (lambda: with_member("C:/evil.jpg"), "has an absolute path"),
    "a backslash": (lambda: with_member("folder\\..\\evil.jpg"), "no plain path"),
    "a null byte": (lambda: with_member("folder/a.jpg\0.png"), "no plain path"),
    "a line break": (lambda: with_member("folder/a\n.jpg"), "no plain path"),
    "a link": (lambda: with_member("folder/link", stat.S_IFLNK | 0o777, b"/etc/passwd"), "is a link"),
    "a device": (lambda: with_member("folder/null", stat.S_IFCHR | 0o666), "is a device"),
    "a disk": (lambda: with_member("folder/sda", stat.S_IFBLK | 0o666), "is a device"),
    "a pipe": (lambda: with_member("folder/pipe", stat.S_IFIFO | 0o666), "is a pipe"),
    "a socket": (lambda: with_member("folder/socket", stat.S_IFSOCK | 0o666), "not a file"),
    "a name twice": (lambda: with_member("folder/a.jpg"), "has 2 members named 'folder/a.jpg'"),
    "a name twice in another case": (lambda: with_member("folder/A.jpg"), "has 2 members named"),
    "a file in a file": (lambda: with_member("folder/a.jpg/b.jpg"), "is a file and a folder"),
    "a bomb": (lambda: zip_bytes({**GOOD, "folder/zeros": bytes(10_000_000)}), "over 100 times its size"),
    "encrypted": (lambda: with_member("folder/secret", flags=1), "is encrypted"),
    "bzip2": (lambda: zip_bytes(GOOD, zipfile.ZIP_BZIP2), "not supported"),
    "shared bytes": (lambda: patched(zip_bytes(GOOD), "folder/b.jpg", (-1, 42, 0, "<I")), "overlaps"),
    "nothing that is wanted": (lambda: zip_bytes({"elsewhere/a.jpg": b"a"}), "nowhere in it"),
    "two folders": (lambda: zip_bytes({"x/folder/a": b"a", "y/folder/a": b"a"}), "which is in x/, y/"),
    "empty": (lambda: zip_bytes({}), "nowhere in it"),
    "no archive": (lambda: b"{}" * 100, "no whole zip archive"),
    "truncated": (lambda: zip_bytes(GOOD)[:-30], "no whole zip archive"),
}


@pytest.mark.parametrize("what", UNSAFE)
def test_it_is_refused_and_nothing_is_written(what: str, tmp_path: Path) -> None:
    make, said = UNSAFE[what]
    path = tmp_path / "x.zip"
    path.write_bytes(make())
    with pytest.raises(DataError) as caught:
        check_archive(path, ["folder"])
    assert said in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(DataError):
        unpack(path, ["folder"], tmp_path / "into", lambda _: None, keep=True)
    assert [file.name for file in tmp_path.iterdir()] == ["x.zip"]


@pytest.mark.parametrize("what", ["a way up", "a link", "a bomb", "no archive"])
def test_the_command_says_so_in_one_line(what: str, server: LocalServer, tmp_path: Path) -> None:
    make, said = UNSAFE[what]
    server.files["x.zip"] = content = make()
    manifest = write_manifest(tmp_path / "m.yaml", source(f"{server.url}/x.zip", content, {"folder": ["train2014"]}))
    done = vlrouting("data", "fetch", "coco", "--manifest", manifest, "--root", tmp_path / "root")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("vlrouting:")]
    assert done.returncode == 2 and said in line and "Traceback" not in done.stderr
    assert not (tmp_path / "root" / "folder").exists() and not list(tmp_path.rglob("evil*"))


def test_a_member_that_is_longer_than_declared_is_cut_off_at_what_is_declared(tmp_path: Path) -> None:
    content = zip_bytes({**GOOD, "folder/long": bytes(range(256)) * 4000})
    size = struct.pack("<I", 256 * 4000)
    assert content.count(size) >= 1
    (tmp_path / "x.zip").write_bytes(patched(content, "folder/long", (22, 24, 1000, "<I")))
    with pytest.raises(DamagedArchive, match="damaged at folder/long"):
        unpack(tmp_path / "x.zip", ["folder"], tmp_path / "into", lambda _: None, keep=True)
    assert sum(file.stat().st_size for file in (tmp_path / "into").rglob("*") if file.is_file()) < 2000


def test_a_folder_around_everything_is_taken_off(tmp_path: Path) -> None:
    members = {f"questions1.2/{name}": data for name, data in GOOD.items()}
    path = tmp_path / "x.zip"
    path.write_bytes(zip_bytes({**members, "__MACOSX/questions1.2/folder/._a.jpg": b"fork"}))
    assert unpack(path, ["folder"], tmp_path / "into", lambda _: None, keep=True) == 2
    found = {str(file.relative_to(tmp_path / "into")) for file in (tmp_path / "into").rglob("*") if file.is_file()}
    assert found == {"folder/a.jpg", "folder/b.jpg"}
