"""A synthetic world of coloured shapes, generated from a seed, in the official file formats of every task.

`world` makes the files (recipe `shapes`); `scene` and `draw` make the images; `caption_sentences`, `vqa_questions`,
`gqa_files` and `nlvr2_files` make the texts. `tools/shapes_evaluator` decides whether a text is true of a scene.
"""

from vlrouting.shapes.world import SPLITS, make_world, prepare, problems

__all__ = ["SPLITS", "make_world", "prepare", "problems"]
