"""Runs many points: several at once on this machine, one after the other in this process, or on SLURM."""
