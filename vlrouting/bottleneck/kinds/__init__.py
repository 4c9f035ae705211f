"""Bottleneck kinds, one file each."""
