"""Frozen vision encoders (timm) and language models (transformers), and the cache of visual features.

Knows nothing of Lightning or YAML: a notebook can load a backbone by itself.
"""
