"""What routing does in trained points."""

CHANGES = {
    "vlrouting/data/derangement.py": [
        ("cycle[1:] + cycle[:1]", "cycle", "everybody keeps their own image"),
        ("random.Random(seed)", "random.Random(0)", "the seed does not decide"),
        ("different = list(dict.fromkeys(owned))", "different = list(owned)", "an example gets its own image back"),
    ],
    "vlrouting/analysis/measures.py": [
        (".clamp(min=0).sqrt()", ".clamp(min=0)", "the squares of the singular values are counted"),
        ("features - features.mean(dim=0)", "features", "CKA of features that are not centred"),
        ("(x.T @ x).norm() * (y.T @ y).norm()", "x.norm() ** 2 * y.norm() ** 2", "another similarity than CKA"),
        ("if difference.norm() <= _RESOLUTION * features.norm():", "if False:", "CKA of rounding errors"),
    ],
    "vlrouting/analysis/layers.py": [
        ("if not bottleneck.acts:", "if False:", "the passes of other tasks are counted"),
        ("else modality == TEXT", "else modality >= TEXT", "the visual prefix is counted"),
        ("else modality == TEXT", "else modality <= TEXT", "padding is counted"),
        ("trace.update - trace.plain", "trace.update", "the size of the whole update"),
        ("trace.update - swapped", "swapped", "the size of the update of another image"),
        ("handle.remove()", "pass", "later forward passes are measured too"),
        ("image[derangement(len(image), seed)]", "image", "chance has the own image"),
        ("weights).sum(dim=1).cpu()", "weights).amax(dim=1).cpu()", "another pooling of the text"),
        ('self.norms["plain"]', 'self.norms["update"]', "the size of what is added relative to the sum"),
    ],
    "vlrouting/analysis/answers.py": [
        ("torch.zeros_like(features))", "features)", "the image is not removed"),
        ("if model.projector is None:", "if True:", "the image is never removed"),
        ("    finally:\n        handle.remove()", "    finally:\n        pass", "no image ever comes back"),
        ('ours["prediction"] != theirs', 'ours["prediction"] == theirs', "the share of answers that stay"),
        ("_test(built, swapped, ", "_test(built, built.test_score.examples, ", "no image is swapped"),
        (
            "paired_difference(after[None], before",
            "paired_difference(before[None], before",
            "the score's change is zero",
        ),
        ("for each in seeds]\n", "for each in seeds[:1]]\n", "the interval is of one seed"),
    ],
    "vlrouting/analysis/point.py": [
        ("limit=examples)", "limit=config.evaluate.limit)", "--examples is ignored"),
        ("visual = model.visual_features(other)", "visual = model.visual_features(own)", "the other image is the own"),
        ("replace(example, images=other[example.images])", "example", "the images are not swapped"),
    ],
    "vlrouting/analysis/event_scalars.py": [
        ("shutil.rmtree(folder, ignore_errors=True)", "pass", "an earlier analysis stays"),
        ("layer.layer or 0)", "0)", "every layer has the same step"),
    ],
    "vlrouting/analysis/analyse.py": [
        ('run.tensorboard / "analysis"', "run.tensorboard", "the scalars are among the training's curves"),
    ],
    "vlrouting/analysis/show.py": [
        ("setdefault(each.variant, [])", "setdefault(each.point, [])", "seeds are not summed up"),
    ],
}
