"""Runs tasks as processes of a machine: what the local and the Slurm executor share."""
