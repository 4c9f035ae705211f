"""Points on a cluster run by SLURM: a job array, a task per point. Imports no torch: it runs on login nodes."""
