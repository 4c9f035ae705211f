"""How a point is put together, trained and scored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.bottleneck import LAYER_NORMS
from vlrouting.config.limits import Count, Fraction, NotNegative, OneOf, Positive, Range, Steps
from vlrouting.config.problem import Problem
from vlrouting.config.tasks import ARCHITECTURES

VISUAL_INPUTS = ("image", "shuffled", "noise", "ones", "none")
PROJECTORS = ("linear", "linear_norm", "mlp")
SCHEDULES = ("linear", "cosine", "one_cycle", "constant")
OPTIMIZERS = ("adamw", "sgd")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "auto")
STRATEGIES = ("ddp", "fsdp")
VQA_VARIANTS = ("official", "legacy", "normalized")
CHECKPOINTS = ("last", "best")
TEST, VALIDATION = SCORED_SPLITS = ("test", "validation")
ACCELERATORS = ("auto", "cpu", "gpu")
LOGGERS = ("tensorboard", "csv", "wandb", "mlflow")


@dataclass
class ModelConfig:
    """How image and text come together."""

    visual_input: Annotated[str, OneOf(VISUAL_INPUTS)] = "image"
    """`image`; the controls `shuffled` (another example's image in place of each, drawn from the seed, also in
    evaluation), `noise` and `ones`; `none`: no prefix and no context, the text-only baseline, which does without
    `vision` and everything that is said of the image."""
    architecture: Annotated[str, OneOf(ARCHITECTURES)] | None = None
    """The joint model: `encoder_classifier`, `decoder` (GPT-2, Llama), `encoder_decoder` (BART, T5), or a plug-in's.
    Default: from the task and, where text is generated, from `is_encoder_decoder` in the language model's config.json;
    a model that is not on this machine is taken for a decoder."""
    visual_prefix: bool = True
    """The projected features stand before the text. False: the image reaches the model through routing alone."""
    projector: Annotated[str, OneOf(PROJECTORS)] = "linear"
    """Maps the visual features to the language model's width: `linear` (none where the widths are equal, as the authors
    have it), `linear_norm` (Linear and LayerNorm, VL-Adapter's visual embedding), `mlp` (Linear, GELU, Linear)."""
    unfreeze: list[str] = field(default_factory=lambda: [LAYER_NORMS])
    """Which frozen parameters train as well: `layer_norms` (of the blocks that have a bottleneck; of all blocks with
    `bottleneck.kind: none`), `biases`, `all`, or patterns of parameter names such as `*.embeddings.*`. The head and the
    projector always train."""
    normalize_visual: bool = True
    """LayerNorm without parameters on the projected features. False for parity with the authors' code."""

    standardize_visual: bool = False
    """Take each channel's mean and deviation over the training images out of the features, before the projector.
    Needs `vision.cache`. Noise and ones stay as they are."""
    label_smoothing: Annotated[float, Range(least=0, below=1)] = 0.0
    """In training, so much of every target token's probability goes to all tokens alike. For generated text."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        return []


@dataclass
class EarlyStoppingConfig:
    """When the training ends before its last step: the main score of the validation no longer rises."""

    patience: Annotated[int, Range(least=1, most=1_000_000)] = 3
    """Validations in a row without a better score."""
    min_delta: NotNegative = 0.0
    """How much a score must rise to be better, in the metric's unit."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        return []


@dataclass
class TrainConfig:
    """Optimisation. Defaults are those of the authors' AdamW (no weight decay, no clipping)."""

    epochs: Count | None = None
    """Passes over the training split; give this or `max_steps`. With several datasets: over the one that has the most
    batches; an epoch is as many rounds as it has batches, and a round is one step of each dataset."""
    max_steps: Steps | None = None
    """Optimizer steps, of all datasets together; give this or `epochs`."""
    batch_size: Count = 64
    """Examples per optimizer step, over all devices and micro-batches: the same on one GPU and on eight."""
    accumulate: Count = 1
    """Gradient accumulation: micro-batches that each device cuts its share of a batch into, to save memory."""
    devices: Annotated[int, Range(least=1, most=1024)] = 1
    """GPUs, or processes on a CPU, per machine that train one point together."""
    nodes: Annotated[int, Range(least=1, most=100_000)] = 1
    """Machines that train one point together, `devices` on each."""
    strategy: Annotated[str, OneOf(STRATEGIES)] = "ddp"
    """How several devices share a point: `ddp` (each holds the whole model) or `fsdp` (each holds a part of every
    frozen block; trainable parameters are few and are held by all)."""
    lr: Positive = 3e-4
    """Peak learning rate. It belongs to `batch_size`, and is not scaled by the number of devices."""
    schedule: Annotated[str, OneOf(SCHEDULES)] = "linear"
    """`linear` and `cosine` (linear warm-up, then decay to 0 in that form), `one_cycle` (cosine up and down),
    `constant` (after warm-up)."""
    warmup_steps: Annotated[int, Range(least=0, most=1_000_000_000)] | None = None
    """Steps of warm-up; give this or `warmup_fraction`."""
    warmup_fraction: Fraction = 0.0
    """Warm-up as a share of all steps."""
    optimizer: Annotated[str, OneOf(OPTIMIZERS)] = "adamw"
    """`adamw`, or `sgd` with momentum, whose learning rates are larger by orders of magnitude."""
    momentum: Annotated[float, Range(least=0, below=1)] = 0.9
    """Momentum of `sgd`."""
    weight_decay: NotNegative = 0.0
    """Decoupled weight decay of AdamW; with `sgd` it is added to the gradient."""
    beta2: Annotated[float, Range(above=0, below=1)] = 0.999
    """AdamW's decay of the squared gradients' mean."""
    eps: NotNegative = 1e-6
    """AdamW's epsilon."""
    clip_norm: Positive | None = None
    """Clip the gradient's norm to this; null for none."""
    precision: Annotated[str, OneOf(PRECISIONS)] = "32-true"
    """`32-true`, `bf16-mixed`, `16-mixed`, or `auto`: bf16-mixed where the hardware computes in it, else 32-true. What
    trains is kept in float32 with each of them."""
    gradient_checkpointing: bool = False
    """Activation checkpointing in the language model, and in a vision tower that trains: less memory, more time."""
    workers: Annotated[int, Range(least=0, most=1024)] = 0
    """Processes that load data; 0 loads in this one."""
    checkpoint_every_steps: Steps = 200
    """Steps between two writes of last.ckpt: what a hard kill can cost."""
    validate_every_steps: Steps | None = None
    """Batches between two validations, where there is a validation split. Default: every epoch."""
    log_every_steps: Steps = 10
    """Steps between two points of the training curves."""
    logger: list[Annotated[str, OneOf(LOGGERS)]] = field(default_factory=lambda: ["tensorboard"])
    """Where the curves go: `tensorboard`, `csv` (csv/metrics.csv in the run directory), `wandb` (Weights & Biases,
    `pip install "vlrouting[wandb]"`), `mlflow` (`vlrouting[mlflow]`); several, or [] for none."""
    early_stopping: EarlyStoppingConfig | None = None
    """End the training when the validation no longer gets better. Default: train to the last step."""
    accelerator: Annotated[str, OneOf(ACCELERATORS)] = "auto"
    """Lightning's accelerator: `auto` takes a GPU when there is one; `cpu`, `gpu`."""

    @property
    def processes(self) -> int:
        """How many train a point together."""
        return self.devices * self.nodes

    @property
    def micro_batches(self) -> int:
        """Forward passes of an optimizer step, over all processes."""
        return self.processes * self.accumulate

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        found = []
        if len(set(self.logger)) < len(self.logger):
            found.append(Problem(("logger",), f"a logger is given twice: {', '.join(self.logger)}"))
        if (self.epochs is None) == (self.max_steps is None):
            found.append(Problem(("epochs", "max_steps"), "give exactly one of the two"))
        if self.warmup_steps is not None and self.warmup_fraction:
            found.append(Problem(("warmup_steps", "warmup_fraction"), "give only one of the two"))
        if self.max_steps is not None and (self.warmup_steps or 0) >= self.max_steps:
            message = f"{self.warmup_steps} leaves nothing of max_steps {self.max_steps}"
            found.append(Problem(("warmup_steps",), message, depends_on=("max_steps",)))
        return found

    def batch_problems(self) -> list[Problem]:
        """Why a batch cannot be cut into micro-batches; keys relative to the section. Each dataset of a run may have
        batches of its own, so this is no part of `problems`."""
        if self.batch_size % self.micro_batches:
            message = (
                f"{self.batch_size} examples cannot be cut into {self.micro_batches} equal micro-batches "
                f"(accumulate {self.accumulate} x devices {self.devices} x nodes {self.nodes})"
            )
            return [Problem(("batch_size", "accumulate", "devices", "nodes"), message)]
        return []


@dataclass
class GenerateConfig:
    """How a language model generates text, through transformers' `generate` with its cache."""

    max_new_tokens: Count = 20
    """Most tokens of an output, the special ones that the model generates included (the end token; BART's `<s>` at the
    front); prompt and image are not counted."""
    beams: Annotated[int, Range(least=1, most=1000)] = 1
    """Beam search with so many beams; 1 takes the most probable token each time."""
    length_penalty: Annotated[float, Range(least=-1000, most=1000)] = 1.0
    """Beam search: a hypothesis is scored by its log-probability over its length to this power."""
    sample: bool = False
    """Draw tokens at random instead (the same ones for the same seed)."""
    temperature: Positive = 1.0
    """Sampling: below 1 sharpens the distribution."""
    top_p: Annotated[float, Range(above=0, most=1)] = 1.0
    """Sampling: only from the most probable tokens that together have this probability."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        found = []
        if not self.sample and (self.temperature != 1 or self.top_p != 1):
            keys = ("sample", "temperature", "top_p")
            found.append(Problem(keys, "the last two are for sampling", "set sample: true"))
        if self.beams == 1 and self.length_penalty != 1:
            beam_keys = ("beams", "length_penalty")
            found.append(Problem(beam_keys, "the penalty is for beam search", "set beams above 1"))
        return found


@dataclass
class EvaluateConfig:
    """How a trained point is scored."""

    batch_size: Count = 256
    """Examples per batch of evaluation and of the feature cache."""
    checkpoint: Annotated[str, OneOf(CHECKPOINTS)] = "last"
    """Which weights become the artifact and are tested: `last`, or `best` on the validation split."""
    split: Annotated[str, OneOf(SCORED_SPLITS)] = TEST
    """Which split the final weights are scored on: `test`, or `validation`, as the trials of `sweep.tune` are. The test
    split is then never scored, and nothing is validated during the training unless a checkpoint is chosen by it."""
    vqa_variant: Annotated[str, OneOf(VQA_VARIANTS)] = "official"
    """The main VQA accuracy: `official` (evaluation code of 2021 on), `legacy` (before, and the authors') or
    `normalized` (prediction and references always normalised). metrics.json has all three."""
    spice: bool = False
    """Captions: also SPICE, which needs Java 8 or 11 and two jars that pycocoevalcap does not ship."""
    panel: Annotated[int, Range(least=0, most=10_000)] = 16
    """Test images shown with what was predicted and what is true, in TensorBoard and as panel.png. When the training
    starts, TensorBoard also gets as many training examples, at most 8."""
    limit: Annotated[int, Range(least=1, most=1_000_000_000)] | None = None
    """Score only so many examples of the validation and of the test split, evenly spaced; the metric's name says so."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        return []
