"""LightningModules, one per kind of task."""
