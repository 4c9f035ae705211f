"""Evaluation rules of the datasets: strings in, numbers out. Needs torchmetrics, and neither Lightning nor YAML."""
