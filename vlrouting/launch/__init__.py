"""Runs points: in this process, one after the other."""
