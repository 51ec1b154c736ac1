"""Tasks: everything that depends on the kind of the targets, and nothing else."""
