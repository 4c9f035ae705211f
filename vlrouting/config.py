"""Every section of an experiment, as a dataclass: the field is the YAML key, its docstring the manual.

Standard library only: `vlrouting validate` reads this without torch, and a notebook may build any section by hand.
Impossible combinations are found by `problems()`, which returns sentences rather than raising, so that a user is told
of all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BUILTIN_ROUTINGS = ("none", "add", "mul", "expand", "gram", "gram_relu", "self")
"""The registered functions of `vlrouting.routing`; a test holds the two lists together."""
CROSS_ATTENTION = "cross_attention"
KINDS = ("lora", "adapter")
PLACES = ("bottleneck", "after_up")
POSITIONS = ("post_module", "pre_norm", "post_norm")
VISUAL_INPUTS = ("image", "noise", "ones", "none")
FEATURES = ("pooled", "tokens")
SCHEDULES = ("linear", "one_cycle", "constant")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
VQA_VARIANTS = ("official", "legacy")
CHECKPOINTS = ("last", "best")


def one_of(key: str, value: str, known: tuple[str, ...]) -> list[str]:
    """A sentence when `value` is not among `known` (the caller adds the did-you-mean)."""
    return [] if value in known else [f"{key}: '{value}' is not one of {', '.join(known)}"]


def at_least(key: str, value: float, least: float) -> list[str]:
    """A sentence when the number is below `least`."""
    return [] if value >= least else [f"{key}: {value} is below {least:g}"]


@dataclass
class BottleneckConfig:
    """The bottleneck that every chosen module gets (design of arXiv 2403.09377, section 3)."""

    kind: str = "lora"
    """`lora` or `adapter`."""
    rank: int = 64
    """Width R of the bottleneck."""
    alpha: float | None = None
    """LoRA only: the update is scaled by alpha / rank. Default: rank, a scale of 1."""
    routing: str = "none"
    """The routing function: none, add, mul, expand, gram, gram_relu, self, one that a plugin registers, or
    `cross_attention`: attention from text to image with weights of its own, the paper's rival."""
    place: str = "bottleneck"
    """`bottleneck`, or `after_up`: an ablation that routes after the up-projection, with the features as they are."""
    shared_down: bool = True
    """The image goes through the text's own down-projection; false gives it one of its own."""
    targets: list[str] | None = None
    """LoRA: roles (query, key, value, output, up, down) or, with a dot or a star, patterns of module names.
    Adapter: patterns of module names. Default: query and value, or what the family table says."""
    layers: list[int] | None = None
    """Which blocks get bottlenecks, counted from 0. Default: all."""
    position: str = "post_module"
    """Adapter only: after the sub-layer's module, before its norm, or after its norm."""
    shared: bool = False
    """Adapter only: one adapter per block, used after attention and after the MLP."""
    residual: bool = True
    """Adapter only: add the adapter's input to its output."""
    dropout: float = 0.0
    """Dropout on the bottleneck's text input while training."""
    train_layer_norm: bool = True
    """Also train the norms inside the blocks."""

    @property
    def routed(self) -> bool:
        """Whether the bottleneck looks at the image at all."""
        return self.routing != "none"

    def problems(self, known_routings: tuple[str, ...] = BUILTIN_ROUTINGS) -> list[str]:
        """Sentences `key: what is wrong`, empty when the section is sound."""
        found = (
            one_of("kind", self.kind, KINDS)
            + one_of("routing", self.routing, (*known_routings, CROSS_ATTENTION))
            + one_of("place", self.place, PLACES)
            + one_of("position", self.position, POSITIONS)
            + at_least("rank", self.rank, 1)
        )
        if not 0 <= self.dropout < 1:
            found.append(f"dropout: {self.dropout} is not in [0, 1)")
        if self.place == "after_up" and not self.routed:
            found.append("place: after_up needs a routing function; set routing")
        if self.place == "after_up" and self.routing in ("self", "gram_relu", "cross_attention"):
            found.append(
                f"place: after_up cannot train with routing: {self.routing}, whose gradient is zero while `up` is zero "
                "or which needs the bottleneck's width"
            )
        if self.place == "after_up" and not self.shared_down:
            found.append("shared_down: has no meaning with place: after_up, which does not project the image")
        if self.kind == "adapter" and self.alpha is not None:
            found.append("alpha: belongs to kind: lora; an adapter has no scale")
        if self.kind == "lora" and (self.position != "post_module" or self.shared or not self.residual):
            found.append("position, shared, residual: belong to kind: adapter, not to lora")
        return found


@dataclass
class SplitConfig:
    """The files of one split, relative to `data.root`."""

    questions: str = ""
    """Official questions file, or a per-split list (LXMERT / VL-T5 style) that carries `label`."""
    annotations: str | None = None
    """Official annotations file; null for a test set. A per-split list needs it only for the official metric."""
    images: str = "{subtype}/COCO_{subtype}_{image_id:012d}.jpg"
    """Path of an image; `{subtype}` is the file's data_subtype, `{image_id}` the number, `{img_id}` a list's string."""


@dataclass
class DataConfig:
    """Which dataset, and where its official files lie."""

    name: str = "vqav2"
    """The reader: `vqav2`."""
    root: str = "data/vqav2"
    """Folder of the files below."""
    prepare: str | None = None
    """Recipe that makes the files when they are not there (`easy_vqa`: from the installed package)."""
    train: str = "train2014"
    """Split to train on: a name of `splits`."""
    validation: str | None = None
    """Split to choose checkpoints by; null for none."""
    test: str = "val2014"
    """Split to report."""
    splits: dict[str, SplitConfig] = field(default_factory=dict)
    """Files of every split. Default: the official names of train2014 and val2014."""
    answers: str | None = None
    """Answer vocabulary under `root`: a JSON list, or a map answer -> index. Default: built from the training split."""
    min_answer_count: int = 9
    """When the vocabulary is built: questions an answer must have."""
    max_text_tokens: int = 19
    """Text is cut to this many tokens, the special ones included; the image's are not counted."""

    def problems(self) -> list[str]:
        """Sentences `key: what is wrong`, empty when the section is sound."""
        found = one_of("name", self.name, ("vqav2",))
        found += at_least("min_answer_count", self.min_answer_count, 1)
        found += at_least("max_text_tokens", self.max_text_tokens, 3)
        if self.prepare is not None:
            found += one_of("prepare", self.prepare, ("easy_vqa",))
        return found


@dataclass
class VisionConfig:
    """The frozen vision encoder."""

    name: str = "vit_base_patch16_224.orig_in21k"
    """Any timm model."""
    weights: str = "hub"
    """`hub`, `random`, a file, or `package:MODULE/FILE` for weights inside an installed package."""
    features: str = "pooled"
    """`pooled` (B, 1, Dv) or `tokens` (B, V, Dv)."""
    image_size: int | None = None
    """Pixels of a side. Default: the model's own."""
    cache: bool = True
    """Compute every image's features once, and share them between the points."""
    cache_dir: str | None = None
    """Where. Default: `features/` under data.root."""

    def problems(self) -> list[str]:
        """Sentences `key: what is wrong`, empty when the section is sound."""
        found = one_of("features", self.features, FEATURES)
        return found + (at_least("image_size", self.image_size, 16) if self.image_size is not None else [])


@dataclass
class LanguageConfig:
    """The frozen language model."""

    name: str = "roberta-base"
    """A hub id, a local folder, or `package:MODULE/FOLDER`; any transformers encoder."""
    revision: str | None = None
    """Hub revision (branch, tag or commit). The commit that was used is recorded."""
    weights: str = "pretrained"
    """`pretrained`, or `random`: the architecture of `name` with fresh weights."""

    def problems(self) -> list[str]:
        """Sentences `key: what is wrong`, empty when the section is sound."""
        return one_of("weights", self.weights, ("pretrained", "random"))


@dataclass
class ModelConfig:
    """How image and text come together."""

    visual_input: str = "image"
    """`image`; ablations `noise`, `ones`; `none`: no prefix and no context, the blind floor."""
    normalize_visual: bool = True
    """LayerNorm without parameters on the projected features. False for parity with the authors' code."""

    standardize_visual: bool = False
    """Take each channel's mean and deviation over the training images out of the features, before the projector.
    Needs `vision.cache`. Only real images are: noise and ones stay as they are."""

    def problems(self) -> list[str]:
        """Sentences `key: what is wrong`, empty when the section is sound."""
        return one_of("visual_input", self.visual_input, VISUAL_INPUTS)


@dataclass
class TrainConfig:
    """Optimisation. Defaults are those of the authors' AdamW (no weight decay, no clipping)."""

    epochs: int | None = None
    """Passes over the training split; give this or `max_steps`."""
    max_steps: int | None = None
    """Optimizer steps; give this or `epochs`."""
    batch_size: int = 64
    """Examples per optimizer step and device, before accumulation."""
    accumulate: int = 1
    """Batches per optimizer step."""
    lr: float = 3e-4
    """Peak learning rate."""
    schedule: str = "linear"
    """`linear` (warm-up, then linear decay to 0), `one_cycle` (cosine up and down), `constant` (after warm-up)."""
    warmup_steps: int | None = None
    """Steps of warm-up; give this or `warmup_fraction`."""
    warmup_fraction: float = 0.0
    """Warm-up as a share of all steps."""
    weight_decay: float = 0.0
    """Decoupled weight decay of AdamW."""
    eps: float = 1e-6
    """AdamW's epsilon."""
    clip_norm: float | None = None
    """Clip the gradient's norm to this; null for none."""
    precision: str = "32-true"
    """`32-true`, `bf16-mixed` or `16-mixed`."""
    gradient_checkpointing: bool = False
    """Recompute the blocks in the backward pass to save memory."""
    workers: int = 0
    """Processes that load data; 0 loads in this one."""
    checkpoint_every_steps: int = 200
    """Steps between two writes of last.ckpt: what a hard kill can cost."""
    validate_every_steps: int | None = None
    """Batches between two validations. Default: every epoch."""
    log_every_steps: int = 10
    """Steps between two points of the training curves."""
    accelerator: str = "auto"
    """Lightning's accelerator: `auto` takes a GPU when there is one; `cpu`, `gpu`."""

    def problems(self) -> list[str]:
        """Sentences `key: what is wrong`, empty when the section is sound."""
        found = (
            one_of("schedule", self.schedule, SCHEDULES)
            + one_of("precision", self.precision, PRECISIONS)
            + one_of("accelerator", self.accelerator, ("auto", "cpu", "gpu"))
            + at_least("workers", self.workers, 0)
        )
        for key in ("batch_size", "accumulate", "checkpoint_every_steps", "log_every_steps"):
            found += at_least(key, getattr(self, key), 1)
        for key in ("epochs", "max_steps", "validate_every_steps"):
            found += at_least(key, getattr(self, key) or 1, 1)
        if not self.lr > 0:
            found.append(f"lr: {self.lr} is not above 0")
        if self.lr == float("inf"):
            found.append("lr: inf is not a rate; give a number")
        if self.clip_norm is not None and not self.clip_norm > 0:
            found.append(f"clip_norm: {self.clip_norm} is not above 0; null is for no clipping")
        found += at_least("weight_decay", self.weight_decay, 0) + at_least("eps", self.eps, 0)
        if not 0 <= self.warmup_fraction < 1:
            found.append(f"warmup_fraction: {self.warmup_fraction} is not in [0, 1)")
        if (self.epochs is None) == (self.max_steps is None):
            found.append("epochs, max_steps: give exactly one of the two")
        if self.warmup_steps is not None and self.warmup_fraction:
            found.append("warmup_steps, warmup_fraction: give only one of the two")
        if self.max_steps is not None and (self.warmup_steps or 0) >= self.max_steps:
            found.append(f"warmup_steps: {self.warmup_steps} leaves nothing of max_steps {self.max_steps}")
        return found


@dataclass
class EvaluateConfig:
    """How a trained point is scored."""

    batch_size: int = 256
    """Examples per batch of evaluation and of the feature cache."""
    checkpoint: str = "last"
    """Which weights become the artifact and are tested: `last`, or `best` on the validation split."""
    vqa_variant: str = "official"
    """VQA accuracy: `official` (evaluation code of 2021 on) or `legacy` (before, and the authors')."""
    panel: int = 16
    """Test images shown with question, prediction and truth in TensorBoard."""

    def problems(self) -> list[str]:
        """Sentences `key: what is wrong`, empty when the section is sound."""
        return (
            one_of("checkpoint", self.checkpoint, CHECKPOINTS)
            + one_of("vqa_variant", self.vqa_variant, VQA_VARIANTS)
            + at_least("batch_size", self.batch_size, 1)
            + at_least("panel", self.panel, 0)
        )


@dataclass
class ExperimentConfig:
    """One point of an experiment: everything that is needed to run it."""

    seed: int = 42
    """Seed of initialisation, data order and noise."""
    task: str = "vqa_classification"
    """What is trained: `vqa_classification`, question answering over an answer vocabulary."""
    plugins: list[str] = field(default_factory=list)
    """Modules to import first; a place for `@register_routing`."""
    data: DataConfig = field(default_factory=DataConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    bottleneck: BottleneckConfig = field(default_factory=BottleneckConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)

    def problems(self, known_routings: tuple[str, ...] = BUILTIN_ROUTINGS) -> list[str]:
        """Sentences `section.key: what is wrong` of every section and of combinations between sections."""
        found = one_of("task", self.task, ("vqa_classification",)) + at_least("seed", self.seed, 0)
        if self.seed >= 2**32:
            found.append(f"seed: {self.seed} does not fit into 32 bits")
        found += [f"bottleneck.{p}" for p in self.bottleneck.problems(known_routings)]
        for name in ("data", "vision", "language", "model", "train", "evaluate"):
            found += [f"{name}.{problem}" for problem in getattr(self, name).problems()]
        if self.model.visual_input == "none" and self.bottleneck.routed:
            found.append("model.visual_input: none leaves the routing nothing to look at; set bottleneck.routing: none")
        if self.model.standardize_visual and not self.vision.cache:
            found.append("model.standardize_visual: measures the cached features; set vision.cache: true")
        if self.evaluate.checkpoint == "best" and self.data.validation is None:
            found.append("evaluate.checkpoint: best needs a validation split; set data.validation")
        return found
