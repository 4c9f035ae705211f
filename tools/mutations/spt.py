"""SPT: sensitivities, choice, and single weights that train."""

CHANGES = {
    "vlrouting/selection/spt/sensitivity.py": [
        ("weight.grad.float().square()", "weight.grad.float().abs()", "the sensitivity is no square"),
        ("        weight.grad = None\n", "", "the gradients of all weights are kept"),
        ("if facts.get(tower) != fingerprint:", "if False:", "sensitivities of other weights are taken"),
    ],
    "vlrouting/selection/spt/budget.py": [
        ("int((flat > 0).sum())", "len(flat)", "weights that cannot matter are chosen"),
        ("count * alpha >= group.cost", "count * alpha > group.cost", "a matrix needs one weight more than published"),
        ("count * beta >= len(group.span)", "count * alpha >= len(group.span)", "vectors go by the rule of matrices"),
        (
            "        elif group.offset is not None:\n            total += count",
            "        else:\n            total += count",
            "weights that do not train are counted",
        ),
        ("right=True)\n    tried", "right=False)\n    tried", "the first weight of a group counts with the one before"),
    ],
    "vlrouting/selection/spt/groups.py": [
        ("offset = None if offset is None else inputs * outputs", "", "chosen biases are taken for weights"),
        (
            "if parameter.dim() == 1 and own not in CLASS_TOKENS",
            "if parameter.dim() == 1",
            "CLIP's class token trains twice",
        ),
    ],
    "vlrouting/selection/spt/select.py": [
        ("        values = values.T\n", "        pass\n", "GPT-2's sensitivities are transposed"),
        ("(*before.columns, *group.target.columns)", "group.target.columns", "one slice of a fused projection is left"),
        ("if lengths[group.key] < group", "if not lengths[group.key] < group", "a whole bias trains for its slice"),
    ],
    "vlrouting/bottleneck/kinds/sparse.py": [
        ("(update + bias).to", "update.to", "single biases do not train"),
        ("if len(self.rows) > self.inputs + self.outputs:", "if False:", "many single weights take much memory"),
        ("weight = outputs_first(base_layer)", "weight = base_layer.weight", "GPT-2's deltas are merged transposed"),
    ],
}
