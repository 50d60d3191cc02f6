"""Slurm: the same tasks as batch jobs of an HPC cluster.

``profile`` describes the site, ``jobs`` decides which tasks share a job, ``scripts`` writes the
sbatch scripts, ``job_description`` is the job description sent to a node, ``node`` executes it
there, ``service`` runs Slurm's commands and determines the state of a run, and ``executor``
combines them.
"""
