"""Talks to Slurm: runs its commands, and reads how a run stands."""
