"""The retriever of PHA (arXiv 2310.11670): which task an example is near to, and the losses that train it."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional


def query_contrast(queries: Tensor, tasks: Tensor, others: Tensor, temperature: float) -> Tensor:
    """-log(exp(cos(q_i, q_j) / τ) / Σ_{c ≠ i} exp(cos(q_i, q_c) / τ)), mean over the rows j of the same task, and over
    the rows i that have such a j; 0 where none has.

    Args:
        queries: (B, P).
        tasks: (B,).
        others: (M, P) further candidates c, of tasks that are not among `tasks`; rows of zeros count as missing.
        temperature: τ.

    Returns:
        A scalar.
    """
    queries, others = functional.normalize(queries, dim=1), functional.normalize(others, dim=1)
    itself = torch.eye(len(queries), dtype=torch.bool, device=queries.device)
    missing = (others == 0).all(dim=1).expand(len(queries), -1)
    scores = queries @ torch.cat([queries, others]).T / temperature  # (B, B + M)
    total = scores.masked_fill(torch.cat([itself, missing], dim=1), -torch.inf).logsumexp(dim=1, keepdim=True)
    same = (tasks[:, None] == tasks[None]) & ~itself  # (B, B)
    partners = same.sum(dim=1)
    logs = torch.where(same, scores[:, : len(queries)] - total, 0.0).sum(dim=1) / partners.clamp(min=1)
    return -logs.sum() / (partners > 0).sum().clamp(min=1)


def prototype_contrast(queries: Tensor, tasks: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """-cos(q, k_τ) / τ + log Σ_{τ' ≠ τ} exp(cos(q, k_τ') / τ), mean over the rows. The sum leaves the right prototype
    out, as in the paper's equation and in the authors' code, so the value may be negative.

    Args:
        queries: (B, P).
        tasks: (B,) positions of their tasks.
        prototypes: (tasks, P), two at least.
        temperature: τ.

    Returns:
        A scalar.
    """
    scores = similarities(queries, prototypes) / temperature
    right = tasks.unsqueeze(1)
    others = scores.scatter(1, right, -torch.inf).logsumexp(dim=1)
    return (others - scores.gather(1, right).squeeze(1)).mean()


def similarities(queries: Tensor, prototypes: Tensor) -> Tensor:
    """(B, P), (tasks, P) -> cosines (B, tasks)."""
    return functional.normalize(queries, dim=1) @ functional.normalize(prototypes, dim=1).T


class Retriever(nn.Module):
    """q = W₂ relu(W₁ mean(states)), to be near the prototype of the example's task.

    The authors contrast the rows of a batch, which has examples of all tasks. Here a batch has one task, so the last
    queries of the other tasks are remembered, without gradients, and stand for their rows. Until another task has had
    its first step there is nothing to contrast. `measured` makes the memory a part of checkpoints, so that a resumed
    run computes the same.

    Attributes:
        memory: (tasks, M, P), the last queries of every task, of length 1; zeros where there have been fewer.
    """

    measured = True
    memory: Tensor

    def __init__(self, inputs: int, width: int, hidden: int, *, tasks: int, memory: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, hidden), nn.Linear(hidden, width)
        self.register_buffer("memory", torch.zeros(tasks, memory, width))

    def forward(self, states: Tensor, real: Tensor | None = None) -> Tensor:
        """Query of each row.

        Args:
            states: (B, T, D).
            real: (B, T), true where the mean is taken; None for all positions.

        Returns:
            (B, P).
        """
        states = states.to(self.first.weight.dtype)
        if real is None:
            mean = states.mean(dim=1)
        else:
            weights = real.to(states.dtype).unsqueeze(-1)
            mean = (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        queries: Tensor = self.second(functional.relu(self.first(mean)))
        return queries

    @torch.no_grad()
    def nearest(self, queries: Tensor, prototypes: Tensor) -> Tensor:
        """(B, P), (tasks, P) -> (B,) positions of the nearest prototypes."""
        with torch.autocast(queries.device.type, enabled=False):  # rounding would make ties
            return similarities(queries.float(), prototypes.float()).argmax(dim=1)

    def loss(self, queries: Tensor, task: int, prototypes: Tensor, temperature: float) -> Tensor:
        """The sum of both losses of a training batch, whose queries it remembers.

        Processes contrast the rows of all of them, so two with half of the batch each get the gradients of one. They
        all call this in the same step, with the same number of rows.

        Args:
            queries: (B, P), of this process.
            task: position of their task.
            prototypes: (tasks, P), two at least.
            temperature: of both losses.

        Returns:
            A scalar, float32.
        """
        with torch.autocast(queries.device.type, enabled=False):
            queries = queries.float()
            tasks = torch.full((len(queries),), task, device=queries.device)
            loss = prototype_contrast(queries, tasks, prototypes.float(), temperature)
            everyone, processes = _of_all_processes(queries)
            others = self.memory[[number for number in range(len(self.memory)) if number != task]].flatten(0, 1).float()
            between = query_contrast(everyone, tasks.repeat(processes), others, temperature)
            between = torch.where((others != 0).any(), between, 0.0)
            # The loss is the same everywhere, and each process has the gradient of its own rows alone: the mean of the
            # gradients over the processes would be too small by their number.
            self._remember(everyone, task)
            return loss + between.detach() + processes * (between - between.detach())

    @torch.no_grad()
    def _remember(self, queries: Tensor, task: int) -> None:
        new = functional.normalize(queries, dim=1).to(self.memory.dtype)
        self.memory[task] = torch.cat([self.memory[task], new])[-self.memory.shape[1] :]


def _of_all_processes(queries: Tensor) -> tuple[Tensor, int]:
    """The rows of all processes, (processes · B, P), in the order of the batch that they share (see
    `LengthGroupedBatches.plan`), and the number of processes. Only this process's rows have a gradient."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return queries, 1
    processes = distributed.get_world_size()
    parts = [torch.empty_like(queries) for _ in range(processes)]
    distributed.all_gather(parts, queries.detach().contiguous())
    parts[distributed.get_rank()] = queries
    return torch.stack(parts, dim=1).flatten(0, 1), processes
