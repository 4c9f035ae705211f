"""The datasets' scores by `data.name`."""

from __future__ import annotations

from vlrouting.metrics.caption_score import CaptionScore
from vlrouting.metrics.gqa_score import GQAScore
from vlrouting.metrics.nlvr2_score import NLVR2Score
from vlrouting.metrics.score import Score
from vlrouting.metrics.vqa_score import VQAScore

SCORES: dict[str, type[Score]] = {"vqav2": VQAScore, "coco": CaptionScore, "gqa": GQAScore, "nlvr2": NLVR2Score}
