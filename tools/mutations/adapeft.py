"""The selector `adapeft`."""

CHANGES = {
    "vlrouting/config/selectors/adapeft.py": [
        ("(self.budget is None) == (self.choice is None)", "False", "neither a budget nor a choice, or both"),
        ("len(set(self.groups)) < len(self.groups)", "False", "a group that is there twice passes"),
    ],
    "vlrouting/selection/adapeft/parabola.py": [
        ("OFFSETS = (-2, -1, 1, 2)", "OFFSETS = (-2, -1, 1, 3)", "the offsets are not symmetrical"),
        ("min(self.base, self.slope", "(self.slope", "a gain may be larger than the loss"),
        ("if not rise > visible:", "if not rise > 0:", "rounding is taken for a curvature"),
        ("if fall > visible else", "if fall > 0 else", "rounding is taken for a slope"),
        ("if not r_squared > R_SQUARED:", "if False:", "any curve is taken for a parabola"),
        ("total = mean**2 + sum", "total = sum", "the shared loss does not count for R²"),
    ],
    "vlrouting/selection/adapeft/probe.py": [
        ("parameter.copy_(value)\n    return", "pass\n    return", "a probe leaves the weights at its last step"),
        ("gradient * (moved / square) ** 0.5", "gradient", "the size of a step depends on the gradient"),
    ],
    "vlrouting/selection/adapeft/measure.py": [
        (
            "                parameter.copy_(value)\n",
            "                pass\n",
            "head and projector keep what they learnt",
        ),
        ("        torch.manual_seed(seed)\n", "", "every loss of a probe draws other numbers"),
        ("                parameter.grad = None\n", "                pass\n", "gradients stay in the model"),
        ("                optimizer.step()\n", "", "the probes are all at the first weights"),
        ("loss, batches[number % len(batches)]", "loss, batches[0]", "all probes are on the first batch"),
        ("config.every if number else config.warm_up", "config.every", "warm_up is ignored"),
    ],
    "vlrouting/selection/adapeft/curve.py": [
        (
            "            break\n",
            "            budget += sizes[number]\n            continue\n",
            "the choice is no prefix",
        ),
        (" or not gains[number] > 0", "", "what gains nothing is chosen"),
        ("- (group.depth or 0)), point.depth or 0)", "- (group.depth or 0)), -(point.depth or 0))", "the deeper block"),
    ],
    "vlrouting/selection/adapeft/groups.py": [
        ("if users[p] == 1", "if users[p]", "what bottlenecks share counts several times"),
        ("            taken |= set(found[-1].parameters)\n", "", "a parameter is in two groups"),
        ("(number + 0.5) /", "number /", "the depth is that of a block's start"),
        ("stream_of(model, block)", "block", "another family has no counterpart"),
    ],
    "vlrouting/selection/adapeft/selector.py": [
        ("if group.tower == tower ", "", "parameters are unfrozen in both towers"),
        ("write_curve(problem", "str(problem", "no curve is written"),
    ],
}
