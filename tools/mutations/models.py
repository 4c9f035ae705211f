"""Backbones, joint models, selectors."""

CHANGES = {
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
        ("            model.set_grad_checkpointing(True)", "            pass", "timm's blocks are not recomputed"),
        ("if self.routed is not None and self.routed.tasks:", "if False:", "timm recomputes blocks without their task"),
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
        (", label_smoothing=smoothing", "", "label_smoothing is ignored"),
        (
            "(batch.target_tokens if batch.loss_tokens is None else batch.loss_tokens)",
            "batch.target_tokens",
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
            "if not any(selection.places.values()) and not selection.unfreeze and not selection.vision_unfreeze:",
            "if False:",
            "a selector that chooses nothing passes",
        ),
    ],
    "vlrouting/transforms/__init__.py": [
        ("TRANSFORMS.load(name)(model, config)", "TRANSFORMS.load(name)", "transforms are not applied"),
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
