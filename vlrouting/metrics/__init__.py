"""Metrics of the datasets: strings in, numbers out. Uses torchmetrics, but neither Lightning nor YAML."""
