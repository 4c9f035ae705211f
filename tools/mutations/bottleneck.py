"""Routing functions, and how bottlenecks are attached, run and stored."""

CHANGES = {
    "vlrouting/routing.py": [
        ("return x_v.mean(dim=1, keepdim=True)", "return x_v.sum(dim=1, keepdim=True)", "a sum for the mean over V"),
        ("keepdim=True).clamp(min=1)", "keepdim=True).clamp(min=2)", "the masked mean of one visual token is halved"),
        ("return x_t + mean_over", "return x_t - mean_over", "add subtracts"),
        ("return x_t * mean_over", "return x_t + mean_over", "mul is add"),
        (
            "return x_t.sum(dim=-1, keepdim=True) * mean_over",
            "return x_t.mean(dim=-1, keepdim=True) * mean_over",
            "expand averages the channels",
        ),
        ("(x_t @ left.transpose(1, 2)) @ right", "(x_t @ right.transpose(1, 2)) @ right", "gram masks twice"),
        (
            "return x_t @ (left.transpose(1, 2) @ right)",
            "return x_t @ (left.transpose(1, 2) @ right).transpose(1, 2)",
            "gram's product is transposed in one of its two orders",
        ),
        (
            "_gram_product(torch.relu(x_t), torch.relu(x_v)",
            "_gram_product(x_t, torch.relu(x_v)",
            "gram_relu leaves the text as it is",
        ),
        ("token_sum = x_t.sum(dim=1, keepdim=True)", "token_sum = x_t", "self does not look at other tokens"),
        (
            "return x_v if mask is None else x_v * mask",
            "return x_v if mask is not None else x_v",
            "gram sees the visual tokens that are masked",
        ),
    ],
    "vlrouting/config/routings.py": [
        ('"vlrouting.routing:gram_relu")', '"vlrouting.routing:gram")', "gram_relu is gram"),
        (
            "RoutingFacts(causal=False, after_up=False)",
            "RoutingFacts(after_up=False)",
            "self may generate text, and sees the future",
        ),
    ],
    "vlrouting/bottleneck/cross_attention.py": [
        (
            "routed: Tensor = x_t + self.out(attended)",
            "routed: Tensor = self.out(attended)",
            "cross-attention without its residual",
        ),
        ("self.key(x_v), self.value(x_v), real)", "self.key(x_v), self.value(x_v))", "it attends to masked tokens"),
    ],
    "vlrouting/bottleneck/context.py": [
        (
            '        self._current: ContextVar[ForwardContext | None] = ContextVar("forward_context", default=None)\n',
            "        from types import SimpleNamespace\n\n        held = [None]\n        self._current = SimpleNamespace(\n            get=lambda: held[-1], set=held.append, reset=lambda _: held.pop()\n        )\n",
            "all threads share one context",
        ),
        ("self._current.reset(before)", "self._current.set(None)", "the end of an inner block ends the outer one"),
        ("    def __reduce__(self)", "    def _reduce(self)", "a model with bottlenecks cannot be copied"),
        ("and bottleneck.task in (None, task)", "", "the image is projected for the bottlenecks of all tasks"),
        (
            "if stale or self._versions != self._weight_versions():",
            "if False:",
            "the image is never projected anew after the weights moved",
        ),
        ("or self._versions != self._weight_versions()", "", "without gradients the old projection stays"),
        (
            "self._used or not self._with_gradients",
            "not self._with_gradients",
            "two passes in one look_at share a graph",
        ),
        ("if rows % len(x_v):", "if False:", "rows and images that do not match are not refused"),
        (
            "tensor.repeat_interleave(rows // len(tensor), dim=0)",
            "tensor.repeat(rows // len(tensor), 1, 1)[:rows]",
            "beams look at the image of another row",
        ),
        ("part + layer.bias.to(part.dtype)", "part", "the adapter's image misses the bias"),
        (
            "self._cached_tokens = cached_tokens",
            "self._cached_tokens = 0",
            "a cached decoding step has the modality of the prompt",
        ),
        ("first = max(0, known.shape[1] - tokens)", "first = 0", "a head has the modality of the first tokens"),
        (
            "functional.pad(found, (0, generated), value=TEXT) if generated else found",
            "known.new_full((rows, tokens), TEXT) if generated else found",
            "without a cache the image becomes text as soon as a token is generated",
        ),
    ],
    "vlrouting/bottleneck/unfreeze.py": [
        ('if name.rpartition(".")[2] == "bias"', 'if "bias" in name and "query" in name', "only one bias trains"),
        ("(not blocks or block in blocks)", "True", "the norms of all blocks train"),
    ],
    "vlrouting/bottleneck/attach.py": [
        ("    model.requires_grad_(False)\n", "", "the backbone trains"),
        ("routed.unfreeze(unfreeze, unfrozen)", "pass", "model.unfreeze is ignored"),
        (
            "    except ArtifactError:\n        routed.detach()",
            "    except ArtifactError:\n        pass",
            "an artifact that does not fit leaves its bottlenecks",
        ),
        (
            "attach(backbone, configs, places=stored_places(config), ",
            "attach(backbone, configs, ",
            "load attaches the kind's own choice",
        ),
    ],
    "vlrouting/bottleneck/routed.py": [
        ("self.model.get_parameter(name).copy_(before)", "pass", "detach does not restore what was unfrozen"),
        ("            bottleneck.check_mergeable()", "            pass", "what cannot be merged is merged halfway"),
        ("        drop_context(self.model)\n", "", "a detached model keeps the checkpointing of its image"),
    ],
    "vlrouting/bottleneck/artifact.py": [
        (
            'if config.get("tensors_sha256") not in (None, _sha256(tensor_file)):',
            "if False:",
            "a flipped bit is a changed weight",
        ),
        (
            'if other_weights(old.get("fingerprint"), new.get("fingerprint") or {}):',
            "if False:",
            "an artifact loads onto any weights",
        ),
        ("if math.prod(shape) > self.values:", "if False:", "a damaged number fills the memory"),
        (
            "    if bad := not_finite(tensors):\n        raise ValueError",
            '    if bad := "":\n        raise ValueError',
            "an artifact of NaN is written",
        ),
        (
            "    if bad := not_finite(tensors):\n        raise ArtifactError",
            '    if bad := "":\n        raise ArtifactError',
            "an artifact of NaN is loaded",
        ),
        ("if shape[1] != shape[2])", "if False)", "a tensor of another shape is found too late"),
        ('if getattr(child, "measured", False)]', "if False]", "the artifact lacks the statistics of the images"),
        (
            "if isinstance(version, bool) or version not in (1, SCHEMA_VERSION):",
            "if False:",
            "an artifact of a later version is read",
        ),
        ("[LAYER_NORMS] if norms else []", "[LAYER_NORMS]", "an artifact of version 1 trains norms that were frozen"),
        (
            "for name, p in module.named_parameters() if p.requires_grad or id(p) in own}",
            "for name, p in module.named_parameters()}",
            "the artifact has the frozen weights",
        ),
    ],
    "vlrouting/bottleneck/targets.py": [
        (
            "range(roles.index(role) * width, (roles.index(role) + 1) * width)",
            "range(0, width)",
            "every target of a fused layer is its query",
        ),
        (
            "missing = sorted(set(layers) - numbers)",
            "missing: list[int] = []",
            "a block that is not there is passed over",
        ),
    ],
    "vlrouting/bottleneck/activation_checkpointing.py": [
        ("with self.slot.holding(seen):", "if True:", "the recomputation sees another image, or none"),
    ],
    "vlrouting/bottleneck/fingerprint.py": [
        ("{_sum_of_bits(values)}", "", "a change between the values of the sample does not show"),
        (
            "digest.update(sample.view(torch.uint8).cpu().numpy().tobytes())",
            "pass",
            "values that changed places do not show",
        ),
        (" and not tensor.requires_grad and", " and", "what trains is a part of the fingerprint"),
        ("return bool(kept[dtype] != digest)", "return False", "an artifact loads onto any weights"),
        (" and not name.startswith(tuple(bottlenecks))", "", "bottlenecks are a part of the fingerprint"),
        ("short or _DTYPES}", "_DTYPES[:1]}", "float32 weights are not recognised in bfloat16"),
    ],
}
