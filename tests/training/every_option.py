"""Every key of an experiment with a value that is not the one of the base run, and what the value changes.

A new field of `vlrouting/config` needs a row here, or a line in `ELSEWHERE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.golden.experiments import LORA, Trace, trace

VQA, GENERATION, CAPTIONING = "vqa_classification", "vqa_generation", "captioning"
SAME: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """One value of one key.

    Attributes:
        key: dotted, as in the YAML.
        change: overrides with the value, separated by spaces.
        differs: the attributes of `Trace` that differ from the base run's; none where the key must change nothing.
        task: experiment of `tests/golden`.
        beside: overrides of both runs.
        against: further overrides of the base run.
        stored: whether the losses are the same on every machine, so that they are stored.
    """

    key: str
    change: str
    differs: tuple[str, ...] = ("losses",)
    task: str = VQA
    beside: tuple[str, ...] = LORA
    against: tuple[str, ...] = ()
    stored: bool = True

    @property
    def name(self) -> str:
        """Of the test and of the stored values."""
        beside = self.beside[len(LORA) :] if self.beside[: len(LORA)] == LORA else self.beside
        return " ".join((self.task, self.change, *beside))


def option_trace(files: Mapping[str, Path], runs: Path, option: Option) -> Trace:
    """The run with the option."""
    return trace(files[option.task], runs, *_merged("train.max_steps=4", *option.beside, *option.change.split()))


def base_trace(files: Mapping[str, Path], runs: Path, option: Option) -> Trace:
    """The run that the option is compared with."""
    return trace(files[option.task], runs, *_merged("train.max_steps=4", *option.beside, *option.against))


def _merged(*overrides: str) -> list[str]:
    """One override for each key, the last: a command line that sets a key twice is refused."""
    return list({override.partition("=")[0]: override for override in overrides}.values())


_PLAIN = ("bottleneck.kind=lora", "bottleneck.rank=4")
_ADAPTER = ("bottleneck.kind=adapter", "bottleneck.rank=4", "bottleneck.routing=mul")
_PARALLEL = (*_ADAPTER, "bottleneck.position=parallel")
_LEARNED = (*LORA, "train.max_steps=24")
_BEAMS = (*_LEARNED, "generate.beams=3")
_SAMPLE = (*_LEARNED, "generate.sample=true")
_FAST = (*LORA, "train.lr=0.5", "train.max_steps=6", "train.validate_every_steps=1")
_SPLIT = "v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json"

DATA = (
    Option("data.train", "data.train=val2014"),
    Option("data.validation", "data.validation=null", ("metrics",)),
    Option("data.test", "data.test=train2014", ("metrics",)),
    Option(
        "data.splits",
        f"data.splits.mine.questions={_SPLIT[0]} data.splits.mine.annotations={_SPLIT[1]} data.train=mine",
    ),
    Option("data.answers", "data.answers=answers.json"),
    Option("data.min_answer_count", "data.min_answer_count=15"),
    Option("data.prompt", "data.prompt=picture:{text}"),
    Option("data.max_text_tokens", "data.max_text_tokens=4"),
    Option("data.max_target_tokens", "data.max_target_tokens=3", task=CAPTIONING),
    Option("data.sample_answers", "data.sample_answers=true", task=GENERATION),
)
BACKBONES = (
    Option("vision.name", "vision.name=vit_tiny_patch16_224", stored=False, beside=(*LORA, "vision.weights=random")),
    Option("vision.weights", "vision.weights=random", stored=False),
    Option("vision.features", "vision.features=tokens"),
    Option("vision.image_size", "vision.image_size=48"),
    Option("vision.pool", "vision.pool=[1,2]", beside=(*LORA, "vision.features=tokens"), stored=False),
    Option("vision.cache", "vision.cache=false", SAME),
    Option("language.weights", "language.weights=random", stored=False),
    Option("language.dtype", "language.dtype=bfloat16", stored=False),
    Option("language.attention", "language.attention=eager", SAME),
)
BOTTLENECK = (
    Option("bottleneck.kind", "bottleneck.kind=adapter"),
    Option("bottleneck.kind", "bottleneck.kind=ia3", beside=(), against=_PLAIN),
    Option("bottleneck.kind", "bottleneck.kind=none", beside=(), against=_PLAIN),
    *(
        Option("bottleneck.kind", f"bottleneck.kind={kind}", stored=False)
        for kind in ("dora", "vera", "compacter", "vl_pet", "context_lora")
    ),
    *(
        Option("bottleneck.kind", f"bottleneck.kind={kind}", beside=(), against=_PLAIN, stored=False)
        for kind in ("context_ia3", "context_bitfit")
    ),
    Option(
        "bottleneck.final_activation",
        "bottleneck.kind=genft bottleneck.rank=6 bottleneck.final_activation=identity",
        stored=False,
    ),
    *(
        Option("bottleneck.tokens", f"bottleneck.kind={kind} bottleneck.tokens=3", beside=(), stored=False)
        for kind in ("prompt", "prefix")
    ),
    *(
        Option("bottleneck.hidden", "bottleneck.hidden=6", beside=(f"bottleneck.kind={kind}",), stored=False)
        for kind in ("prompt", "prefix")
    ),
    Option("bottleneck.tower", "bottleneck.tower=vision", beside=_PLAIN),
    *(
        Option("bottleneck.routing", f"bottleneck.routing={name}")
        for name in ("none", "add", "expand", "gram", "gram_relu", "self", "cross_attention")
    ),
    Option("bottleneck.targets", "bottleneck.targets=[query]"),
    Option("bottleneck.layers", "bottleneck.layers=[0]"),
    Option("bottleneck.rank", "bottleneck.rank=2"),
    Option("bottleneck.place", "bottleneck.place=after_up"),
    Option("bottleneck.shared_down", "bottleneck.shared_down=false"),
    Option("bottleneck.dropout", "bottleneck.dropout=0.5", stored=False),
    Option("bottleneck.alpha", "bottleneck.alpha=16"),
    *(
        Option("bottleneck.position", f"bottleneck.position={position}", beside=_ADAPTER)
        for position in ("pre_norm", "post_norm", "parallel")
    ),
    Option("bottleneck.shared", "bottleneck.shared=true", beside=_ADAPTER),
    Option("bottleneck.residual", "bottleneck.residual=false", beside=_ADAPTER),
    Option("bottleneck.scale", "bottleneck.scale=1", beside=_PARALLEL),
    Option(
        "bottlenecks",
        "bottlenecks.one.kind=lora bottlenecks.one.rank=4 bottlenecks.two.kind=adapter bottlenecks.two.rank=4",
        beside=(),
        against=_PLAIN,
    ),
)
MODEL = (
    Option("seed", "seed=4"),
    Option("model.visual_input", "model.visual_input=noise", stored=False),
    Option("model.visual_input", "model.visual_input=ones"),
    Option("model.visual_input", "model.visual_input=shuffled", stored=False),
    Option("model.visual_input", "model.visual_input=none", beside=_PLAIN),
    Option("model.unfreeze", "model.unfreeze=[]"),
    Option("model.unfreeze", "model.unfreeze=[biases]"),
    Option("model.unfreeze", "model.unfreeze=[all]"),
    Option("model.unfreeze", "model.unfreeze=['*.word_embeddings.*']"),
    Option("model.normalize_visual", "model.normalize_visual=false"),
    Option("model.standardize_visual", "model.standardize_visual=true"),
    Option("model.label_smoothing", "model.label_smoothing=0.2", task=CAPTIONING, beside=LORA),
    Option("model.visual_prefix", "model.visual_prefix=false", stored=False),
    Option("model.visual_prefix", "model.visual_prefix=false", task=CAPTIONING, stored=False),
    Option("model.projector", "model.projector=linear_norm", stored=False),
    Option("model.projector", "model.projector=mlp", stored=False),
    Option("model.architecture", "model.architecture=encoder_classifier", SAME),
)
TRAIN = (
    Option("train.epochs", "train.epochs=1", beside=(*LORA, "train.max_steps=null"), against=("train.epochs=2",)),
    Option("train.max_steps", "train.max_steps=2"),
    Option("train.batch_size", "train.batch_size=4"),
    Option("train.accumulate", "train.accumulate=2", SAME),
    Option("train.accumulate", "train.accumulate=4", SAME, GENERATION),
    Option("train.accumulate", "train.accumulate=4", SAME, CAPTIONING, stored=False),  # texts of different lengths
    Option("train.lr", "train.lr=0.01", ("losses", "rates")),
    Option("train.schedule", "train.schedule=one_cycle", ("losses", "rates")),
    Option("train.schedule", "train.schedule=cosine", ("losses", "rates")),
    Option("train.schedule", "train.schedule=constant", ("losses", "rates")),
    Option("train.optimizer", "train.optimizer=sgd"),
    Option("train.momentum", "train.momentum=0.5", beside=(*LORA, "train.optimizer=sgd")),
    Option("train.warmup_steps", "train.warmup_steps=2", ("losses", "rates")),
    Option("train.warmup_fraction", "train.warmup_fraction=0.5", ("losses", "rates")),
    Option("train.weight_decay", "train.weight_decay=2", ("losses", "norms")),
    Option("train.beta2", "train.beta2=0.9"),
    Option("train.eps", "train.eps=0.001"),
    Option("train.clip_norm", "train.clip_norm=0.0001"),
    Option("train.precision", "train.precision=bf16-mixed", ("losses", "facts"), stored=False),
    Option("train.gradient_checkpointing", "train.gradient_checkpointing=true", SAME),
    Option("train.gradient_checkpointing", "train.gradient_checkpointing=true", SAME, GENERATION),
    Option("train.workers", "train.workers=1", SAME),
    Option("train.checkpoint_every_steps", "train.checkpoint_every_steps=1", SAME),
    Option("train.validate_every_steps", "train.validate_every_steps=1", SAME),
    Option("train.log_every_steps", "train.log_every_steps=2", ("losses",)),
)
GENERATE = (
    Option("generate.max_new_tokens", "generate.max_new_tokens=1", ("predictions",), GENERATION),
    Option("generate.beams", "generate.beams=3", ("predictions",), GENERATION),
    Option("generate.length_penalty", "generate.length_penalty=-5", ("predictions",), CAPTIONING, beside=_BEAMS),
    Option("generate.sample", "generate.sample=true", ("predictions",), GENERATION, beside=_LEARNED),
    Option("generate.temperature", "generate.temperature=3", ("predictions",), GENERATION, beside=_SAMPLE),
    Option("generate.top_p", "generate.top_p=0.3", ("predictions",), GENERATION, beside=_SAMPLE),
)
EVALUATE = (
    Option("evaluate.batch_size", "evaluate.batch_size=7", SAME),
    Option("evaluate.checkpoint", "evaluate.checkpoint=best", ("norms",), beside=_FAST),
    Option("evaluate.vqa_variant", "evaluate.vqa_variant=legacy", ("facts",)),
    Option("evaluate.limit", "evaluate.limit=5", ("predictions", "facts")),
)
OPTIONS = (*DATA, *BACKBONES, *BOTTLENECK, *MODEL, *TRAIN, *GENERATE, *EVALUATE)

_GOLDEN = "tests/golden/test_golden_runs.py::test_losses_weights_and_scores_are_those_stored"
_RUNS = "tests/training/test_every_option.py"
_PROCESSES = "tests/training/test_several_processes.py"
_FORMULAS = "tests/bottleneck/kinds/test_formulas.py"
_PER_TASK = "tests/bottleneck/test_per_task.py"
_VFPT = "tests/bottleneck/kinds/test_vfpt.py"
_SPT = "tests/training/test_spt.py"
_CHOICE = "tests/selection/test_spt.py"
_ADAPEFT = "tests/selection/adapeft/test_selector.py"
_CONTEXTS = "tests/bottleneck/kinds/test_context_peft.py"
_PROTO_HYPER = "tests/bottleneck/kinds/test_proto_hyper.py"
_TABLE = "tests/data/datasets/table/test_splits.py"
ELSEWHERE = {
    "task": _GOLDEN,
    "datasets": "tests/training/test_several_datasets.py",
    "data.name": _GOLDEN,
    "data.root": _GOLDEN,
    "data.prepare": _GOLDEN,
    "data.target": "tests/data/datasets/table/test_examples.py",
    "data.split_seed": _TABLE,
    "data.split_shares": _TABLE,
    "language.name": _GOLDEN,
    "plugins": "tests/experiment/test_plugins.py",
    "vision.cache_dir": f"{_RUNS}::test_the_feature_cache_lies_where_it_is_told",
    "vision.transforms": "tests/experiment/test_variants.py",
    "language.transforms": "tests/experiment/test_variants.py",
    "language.gguf_file": "tests/backbones/test_language.py::test_a_gguf_file_needs_its_package",
    "language.revision": f"{_RUNS}::test_the_revision_chooses_among_those_of_a_hub",
    "select.method": "tests/training/test_assembly.py",
    "select.batches": "tests/training/test_assembly.py",
    "select.budget": _SPT,
    "select.vision_budget": _SPT,
    "select.sensitivities": _SPT,
    "select.alpha": _CHOICE,
    "select.beta": _CHOICE,
    "select.step": _CHOICE,
    "select.choice": "tests/training/test_adapeft.py::test_the_choice_of_a_small_model_for_a_deeper_one",
    "select.split": f"{_ADAPEFT}::test_a_layer_that_cannot_matter_is_never_chosen",
    "select.groups": f"{_ADAPEFT}::test_a_layer_that_cannot_matter_is_never_chosen",
    "select.direction": f"{_ADAPEFT}::test_every_setting_of_the_probes_is_read",
    "select.step_size": f"{_ADAPEFT}::test_every_setting_of_the_probes_is_read",
    "select.probes": f"{_ADAPEFT}::test_passes_and_what_is_said_before",
    "select.every": f"{_ADAPEFT}::test_passes_and_what_is_said_before",
    "select.warm_up": f"{_ADAPEFT}::test_passes_and_what_is_said_before",
    "select.lr": f"{_ADAPEFT}::test_every_setting_of_the_probes_is_read",
    "bottleneck.scaling": "tests/bottleneck/kinds/test_against_peft.py",
    "bottleneck.projection_seed": "tests/bottleneck/kinds/test_kinds.py",
    "bottleneck.divisions": _FORMULAS,
    "bottleneck.factor_rank": _FORMULAS,
    "bottleneck.shared_rule": _FORMULAS,
    "bottleneck.granularity": _FORMULAS,
    "bottleneck.gate_rank": "tests/bottleneck/test_attach.py",
    "bottleneck.contexts": _CONTEXTS,
    "bottleneck.bias": _CONTEXTS,
    **{
        f"bottleneck.{key}": "tests/bottleneck/kinds/test_genft.py"
        for key in (
            *("layer_rank", "orientation", "ratio", "inner_activation", "outer_activation"),
            *("generator_bias", "update_scale", "matrix_dropout"),
        )
    },
    "bottleneck.prototype_width": "tests/parameters/test_proto_hyper.py",
    **{f"bottleneck.{key}": _PROTO_HYPER for key in ("contrast", "temperature", "memory", "query", "inference")},
    "bottleneck.per_task": _PER_TASK,
    "bottleneck.shared_down_per_task": _PER_TASK,
    "bottleneck.shared_up_per_task": _PER_TASK,
    "bottleneck.fourier": _VFPT,
    "bottleneck.transform": _VFPT,
    "bottleneck.deep": _VFPT,
    "train.devices": _PROCESSES,
    "train.nodes": "tests/launch/slurm/test_script.py",
    "train.early_stopping": "tests/training/test_early_stopping.py",
    "train.logger": "tests/training/test_loggers.py",
    "train.strategy": "tests/gpu/test_runs.py",
    "train.accelerator": "tests/training/test_device.py",
    "evaluate.split": "tests/training/test_scored_split.py",
    "tuned": "tests/experiment/test_choice.py",
    "compare.baseline": "tests/report/test_baseline.py::test_the_experiments_file_comes_before_what_its_runs_have",
    "evaluate.spice": "tests/metrics/test_caption_score.py",
    "evaluate.panel": f"{_RUNS}::test_the_panel_is_drawn_where_it_is_asked_for",
}
"""Key -> where its values are tested."""
