"""Routing, bottlenecks, backbones, joint models."""

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
            "known is None or tokens != known.shape[1]",
            "known is None",
            "a cached decoding step has the modality of the prompt",
        ),
    ],
    "vlrouting/bottleneck/layers.py": [
        ("x_t = self.down(self.dropout(x))", "x_t = self.down(x)", "bottleneck.dropout is ignored"),
        (
            "projection = self.image_down or self.down\n        return",
            "projection = self.down\n        return",
            "shared_down: false is ignored",
        ),
        ("site.over_tasks if config.shared_down_per_task", "site.over_tasks if False", "down is not shared by tasks"),
        ("site.over_tasks if config.shared_up_per_task", "site.over_tasks if False", "up is not shared by tasks"),
        (
            "self.up(self.activation(self.route(x_t)))",
            "self.up(self.route(self.activation(x_t)))",
            "the activation stands before the routing",
        ),
        (
            "return self.route(self.up(self.activation(x_t)))",
            "return self.up(self.activation(x_t))",
            "place: after_up does not route",
        ),
        (
            "bound = 0.0 if zero else self.group_width**-0.5",
            "bound = self.group_width**-0.5",
            "up does not start at zero",
        ),
        (
            "bound = 0.0 if zero else self.group_width**-0.5",
            "bound = 0.0 if zero else self.group_width**-1",
            "an adapter without residual starts with another scale than a Linear",
        ),
        ("rows = len(outputs) * config.rank", "rows = config.rank", "the targets of a fused layer share one rank"),
        (
            "elif self.config.shared_down and input_width != visual_width:",
            "elif False:",
            "widths that do not fit are found in the first forward only",
        ),
        ("x = x.to(self.dtype)", "pass", "a bf16 model with float32 bottlenecks fails"),
        (
            "return RoutingTrace(plain, update, plain, update, image)",
            "return RoutingTrace(x_t, update, plain, update, image)",
            "the analysis of after_up looks at what is not routed",
        ),
        ("for features in (x_t, routed))", "for features in (routed, routed))", "routing seems to add nothing"),
    ],
    "vlrouting/bottleneck/kinds/lora.py": [
        ("config.alpha if config.alpha is not None else config.rank", "config.rank", "alpha is ignored"),
        ('config.rank if config.scaling == "standard" else math', "math", "rsLoRA's scale"),
        ("a=math.sqrt(5)", "a=0", "down starts with another scale"),
    ],
    "vlrouting/bottleneck/projection_update.py": [
        ('DEFAULT_TARGETS = ("query", "value")', 'DEFAULT_TARGETS = ("query", "key")', "key in place of value"),
        (
            "return base_output.index_add(-1, self.columns, delta)",
            "return base_output.index_add(-1, self.columns.flip(0), delta)",
            "the columns of a fused layer are mixed up",
        ),
        ("return self.scale * torch.cat(", "return torch.cat(", "merging forgets the scale"),
        (
            "weight.index_add_(0, self.columns, ",
            "weight.index_add_(0, self.columns.flip(0), ",
            "merging hits other columns",
        ),
    ],
    "vlrouting/bottleneck/kinds/vera.py": [
        ("nn.Parameter(torch.zeros(rows))", "nn.Parameter(torch.ones(rows))", "VeRA changes the model at step 0"),
        ("self.weight = fn(self._drawn())", "self.weight = fn(self.weight)", "rounded twice, unlike the loaded one"),
        ("RandomState([self.seed, *", "RandomState([1, *", "projection_seed is ignored"),
    ],
    "vlrouting/bottleneck/kinds/dora.py": [
        ("(gain - 1) * linear + gain * update", "(gain - 1) * linear + update", "DoRA scales the weight alone"),
        ("adapted - bias[self.columns]", "adapted + 0 * bias[self.columns]", "DoRA scales the bias"),
        ("weight.index_copy_(0, self.columns, merged", "weight.index_add_(0, self.columns, merged", "DoRA is added"),
        ("@torch.no_grad()\n    def _norm", "def _norm", "the norm has a gradient"),
        ("context is None or torch.is_grad_enabled()", "True", "the norm is computed for every token"),
        ("(None,))[0] != versions", "(None,))[0] is None", "the norm of weights that have changed"),
    ],
    "vlrouting/bottleneck/per_task.py": [
        ("if self.bottleneck.acts else None", "if True else None", "the bottlenecks of all tasks act"),
        ("tasks.count(task) > 1", "False", "a task twice"),
    ],
    "vlrouting/bottleneck/kinds/adapter.py": [
        ("PARALLEL_SCALE = 4.0", "PARALLEL_SCALE = 1.0", "the default scale of parallel adapters"),
        ("PARALLEL_SCALE if config.scale is None else config.scale", "PARALLEL_SCALE", "scale is ignored"),
        ("return x + y if self.config.residual else y", "return x + y", "residual: false is ignored"),
        (
            "if config.residual:\n            self.up",
            "if False:\n            self.up",
            "the model does not start as it was",
        ),
        (
            'part = "module" if config.position == "post_module" else "norm"',
            'part = "module"',
            "post_norm stands after the module",
        ),
        (
            "return output + (self.scale * update)",
            "return self._sub_layer_input or output + update",
            "parallel without its scale",
        ),
        ("shared=config.shared)\n        part", "shared=False)\n        part", "a parallel adapter is never shared"),
        ("part=part, shared=config.shared)", "part=part, shared=False)", "an adapter is never shared"),
        ('if self.config.position == "pre_norm":', "if False:", "pre_norm stands after the norm"),
    ],
    "vlrouting/bottleneck/kinds/compacter.py": [
        ('"ipq,ior->poqr"', '"iqp,ior->poqr"', "A_i transposed"),
        ('"ipq,...iqr->...ipr"', '"iqp,...iqr->...ipr"', "A_i transposed where the factors are thin"),
        ("nn.init.zeros_(self.left)", "pass", "Compacter changes the model at step 0"),
        ("if self.config.shared_rule:", "if False:", "every projection has its own rule"),
        ('f"rule of {site.task}"', '"rule"', "a step trains the rule of other tasks"),
    ],
    "vlrouting/bottleneck/kinds/vl_pet.py": [
        ("self.gate(x + y)", "self.gate(y)", "the gate does not read the sub-layer's input"),
        ("torch.zeros(width)", "torch.ones(width)", "middleY changes the model at step 0"),
        ("return None if modality is None", "return None if True", "the small gate reads padding"),
        ("config.gate_rank or config.rank", "config.rank", "gate_rank is ignored"),
    ],
    "vlrouting/bottleneck/generated.py": [
        ('config.ratio if config.orientation == "vit" else 1.0', "config.ratio", "peft scales the generator too"),
        (
            "self.up = _uniform(width, config.layer_rank, inputs=config.rank)",
            "self.up = nn.Parameter(torch.zeros(width, config.layer_rank))\n        self.down.data.zero_()",
            "the layer's part never trains, as in the released code",
        ),
        ("hidden = functional.dropout(hidden", "functional.dropout(hidden", "the first stage drops nothing"),
        ("self.second.narrowed(hidden.T, part)", "self.second.narrowed(hidden, part)", "H is not transposed"),
        (
            "with torch.autocast(weight.device.type, enabled=False):\n            hidden",
            "if True:\n            hidden",
            "the update is generated in the precision of autocast",
        ),
        (
            "return grouped_linear(x, self.weight, self.outputs)",
            "return functional.linear(x, self.weight)",
            "query and value are not in groups",
        ),
    ],
    "vlrouting/bottleneck/kinds/genft.py": [
        (
            "        _require_square(site)\n        super()",
            "        super()",
            "an update of a weight that is not square",
        ),
        ('f"generator {width} {site.task}"', 'f"generator {width} {site.key}"', "every target has its own generator"),
        ('f"part {attention} {site.task}"', 'f"part {site.task}"', "all layers share one part"),
        ("[each.T for each in whole] if self._is_vit else whole", "whole", "vit adds the transposed update"),
        (
            "self.scale * self._update_weight(drops=False)",
            "self._update_weight(drops=False)",
            "merging without the scale",
        ),
        ("_update_weight(drops=False)", "_update_weight(drops=self._drops)", "what is merged has dropout"),
        ("return weight if self._is_vit else self.config.ratio * weight", "return weight", "peft without its ratio"),
        (
            "weight.index_select(0, self.columns.view(-1, self.input_width)[group])",
            "weight[: self.input_width]",
            "the value's update is generated from the query's weight",
        ),
        ("tuple(weight._version for weight in weights)", "()", "the update of weights that have changed"),
        (" or kept[name][1] is not source", "", "the image of another context is used"),
        ("self.slot.current.kept.pop(self.key, None)", "pass", "two training steps share one autograd graph"),
        (
            "if self.slot.current is None:\n            return make()",
            "if True:\n            return make()",
            "the update is generated for every token",
        ),
        ("return self.down if self.config.is_product else None", "return self.down", "what is no product is traced"),
    ],
    "vlrouting/bottleneck/kinds/ia3.py": [
        ("torch.ones(len(index))", "torch.full((len(index),), 1.1)", "IA3 does not start as the frozen model"),
        ('DEFAULT_TARGETS = ("key", "value", "down")', 'DEFAULT_TARGETS = ("key", "value")', "the MLP is left out"),
        ("if bias is not None and not self.on_input:", "if False:", "merging leaves the bias unscaled"),
        (
            "if self.on_input:\n            return",
            "if not self.on_input:\n            return",
            "outputs are scaled for inputs and the other way round",
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
        ('if getattr(child, "measured", False):', "if False:", "the artifact lacks the statistics of the images"),
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
    "vlrouting/backbones/feature_cache.py": [
        ('f"{FORMAT}|', 'f"', "the key lacks the version"),
        (
            "            _require_finite(features, paths[done : done + len(features)], encoder)\n",
            "",
            "features of NaN are cached",
        ),
        (
            "            error.filename = str(folder)\n",
            "            pass\n",
            "a full disk of the caches is told as that of the run",
        ),
        ("|{encoder.transforms}", "", "the key lacks the transforms"),
        ("|{fingerprint(encoder)}|", "|", "the key lacks the weights"),
        ("|{stat.st_mtime_ns}", "", "the key lacks the file's time"),
        ("|{stat.st_size}|", "|", "the key lacks the file's size"),
        ("{encoder.preprocessing}|", "", "the key lacks the preprocessing"),
        ("if not (place / INDEX).is_file():", "if True:", "the features are computed every time"),
        ("squares / count - mean**2", "squares / count", "the deviation is the root mean square"),
    ],
    "vlrouting/backbones/vision.py": [
        (
            "features.flatten(2).transpose(1, 2) if features.shape[1] == width",
            "features.reshape(len(features), -1, width) if features.shape[1] == width",
            "grid tokens are reshaped, not transposed",
        ),
        ('"crop_mode": "squash"', '"crop_mode": "center"', "the sides of a picture are cut off"),
        ('"crop_pct": 1.0', '"crop_pct": 0.5', "the border of a picture is cut off"),
        ('features[:, getattr(model, "num_prefix_tokens", 0) :]', "features", "tokens include the class token"),
        ("return super().train(False)", "return super().train(mode)", "batch norms change while training"),
        ("torch.is_grad_enabled() and trains", "False", "nothing in the vision tower trains"),
        ("if config.image_size is not None:\n            data", "if False:\n            data", "image_size is ignored"),
        ("if encoder.revision is None:", "if False:", "the weights of a folder have no revision"),
    ],
    "vlrouting/backbones/language.py": [
        ("setattr(model_config, key, 0.0)", "pass", "the frozen model drops out under checkpointing"),
        ("model.generation_config = GenerationConfig()", "pass", "the hub's file decides how to decode"),
        ("freeze(model)\n    model.config", "model.config", "the language model is not frozen"),
        ('if config.attention != "auto":', "if False:", "language.attention is ignored"),
        ('"dtype": getattr(torch, config.dtype)', '"dtype": torch.float32', "language.dtype is ignored"),
        ('{"revision": config.revision, ', "{", "language.revision is ignored"),
    ],
    "vlrouting/backbones/frozen.py": [
        ("torch.manual_seed(0)\n        yield", "yield", "random backbones differ from process to process"),
        ("digest.update(memoryview(", "(memoryview(", "the fingerprint does not see the weights"),
    ],
    "vlrouting/models/joint_model.py": [
        ("routed.look_at(None, task=task)", "routed.look_at(None)", "the vision tower does not know the task"),
        ("if self.config.normalize_visual else visual", "if True else visual", "normalize_visual is ignored"),
        ("self.prefix_length(visual)] = IMAGE", "self.prefix_length(visual)] = 0", "the image counts as padding"),
        (
            "if visual is None or not self.config.visual_prefix else",
            "if visual is None else",
            "visual_prefix is ignored",
        ),
        (
            "torch.cat([visual.to(text.dtype), text], dim=1)",
            "torch.cat([text, visual.to(text.dtype)], dim=1)",
            "the prefix stands after the text",
        ),
        (
            "features.reshape(len(visual), -1, features.shape[-1])",
            "features.reshape(-1, len(visual), features.shape[-1]).transpose(0, 1)",
            "the images of several examples are mixed up",
        ),
        (
            'draw = torch.randn if self.config.visual_input == "noise" else torch.ones',
            "draw = torch.ones",
            "noise is ones",
        ),
        ("features = self.standardize(features)", "self.standardize(features)", "standardize_visual is ignored"),
        ("        self.language.eval()\n", "", "the frozen language model trains with dropout"),
    ],
    "vlrouting/models/projector.py": [
        ("if features == width else", "if False else", "a projector where the widths are equal"),
        (", nn.LayerNorm(width))", ")", "linear_norm has no norm"),
    ],
    "vlrouting/models/standardize.py": [
        (
            "self.deviation.copy_(deviation.clamp(min=1e-3 * float(deviation.max()) or 1.0))",
            "self.deviation.copy_(deviation)",
            "a channel that never moves is divided by zero",
        ),
        ("(features - self.mean) / self.deviation", "features / self.deviation", "the mean stays"),
    ],
    "vlrouting/models/encoder_classifier.py": [
        (
            "first_text_token = states[:, self.prefix_length(visual)]",
            "first_text_token = states[:, 0]",
            "the head reads the image's position",
        ),
        ("nn.GELU(), nn.Linear", "nn.ReLU(), nn.Linear", "another head"),
    ],
    "vlrouting/models/decoding.py": [
        (
            'reduction="sum")\n    return total / (batch.target_tokens if batch.loss_tokens is None else batch.loss_tokens)',
            'reduction="sum")\n    return total / batch.target_tokens',
            "a mean of means over micro-batches",
        ),
        (
            '{"length_penalty": config.length_penalty} if config.beams > 1',
            "{} if config.beams > 1",
            "length_penalty is ignored",
        ),
        ("num_beams=config.beams,", "num_beams=1,", "beams are ignored"),
        ("max_new_tokens=config.max_new_tokens,", "max_new_tokens=20,", "max_new_tokens is ignored"),
        ("do_sample=config.sample,", "do_sample=False,", "sample is ignored"),
        ('"temperature": config.temperature, ', "", "temperature is ignored"),
        ('"top_p": config.top_p, ', "", "top_p is ignored"),
        ('"top_k": 0', '"top_k": 2', "sampling from two tokens"),
        ("eos_token_id=end_token,", "eos_token_id=None,", "texts do not end"),
    ],
    "vlrouting/models/encoder_decoder.py": [
        ("return generated[:, 1:]", "return generated", "the start token is a part of the text"),
        ('if hasattr(embedding, "embed_scale") else', "if True else", "the embeddings of Pegasus are not scaled"),
        ("target_mask=(labels >= 0).long()", "target_mask=None", "the decoder's padding counts as text"),
    ],
    "vlrouting/models/decoder.py": [
        ("logits[:, prefix - 1 : -1]", "logits[:, prefix:]", "tokens are predicted from themselves"),
        (
            "        text = text.gather(1, order.unsqueeze(-1).expand_as(text))\n",
            "",
            "padding moves without its embeddings",
        ),
    ],
    "vlrouting/selection/__init__.py": [
        (
            "if not any(selection.places.values()) and not selection.unfreeze:",
            "if False:",
            "a selector that chooses nothing passes",
        ),
    ],
    "vlrouting/transforms/__init__.py": [
        ("TRANSFORMS.load(name)(model, config)", "TRANSFORMS.load(name)", "transforms are not applied"),
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
    "vlrouting/backbones/feature_file.py": [
        (
            "if _crc(self.array()[first : last + 1]) != self._checksums[block]:",
            "if False:",
            "a flipped bit of the features passes",
        ),
        ("if checksum != _checksum(index):", "if False:", "the images of a damaged index are taken"),
        (
            'if isinstance(index, dict) and index.get("format") != FORMAT:',
            "if False:",
            "a cache of an older version is called damaged",
        ),
        ("        rest = rest[whole:]\n", "        rest = None\n", "rows that do not fill a block are lost"),
        ('if self._mapped.dtype != "<f4" or', "if", "features of another type are read"),
    ],
    "vlrouting/backbones/loading_workers.py": [
        (
            "        signal.signal(number, signal.SIG_IGN)\n",
            "        pass\n",
            "a stop kills the workers before the step is saved",
        ),
        (
            "lambda *_: os._exit(0) if ending.value else None",
            "lambda *_: os._exit(0)",
            "a TERM to all ends the workers before the step is saved",
        ),
        ("            loader.end_workers()\n", "            pass\n", "the other workers stay where one was killed"),
        ("        if reason is None:\n            raise\n", "", "every RuntimeError is one of the workers"),
    ],
    "vlrouting/models/finite.py": [
        (
            "if bool(wrong.any()):\n        raise NotFinite(what,",
            "if False:\n        raise NotFinite(what,",
            "features of NaN enter the model",
        ),
        (
            "self._seen = seen if self._seen is None else self._seen | seen",
            "self._seen = seen",
            "NaN among earlier tokens is passed over",
        ),
    ],
}
