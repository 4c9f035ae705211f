"""The project's own world: scenes of coloured shapes, drawn from a seed, in the official formats of every task.

`world` makes the files (recipe `shapes`), `scene` and `draw` are the pictures, `captions`, `vqa`, `gqa` and `nlvr2` the
words, and `evaluator` tells from the words whether they are true. Nothing heavy is loaded before something is drawn.
"""

from vlrouting.shapes.world import SPLITS, make_world, prepare, problems

__all__ = ["SPLITS", "make_world", "prepare", "problems"]
