from torch import nn
def answer_head(width: int, answers: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.GELU(), nn.Linear(2 * width, answers))
