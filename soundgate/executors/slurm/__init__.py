"""Slurm: the same tasks as batch jobs of an HPC cluster.

``profile`` describes the site, ``jobs`` decides which tasks share a job, ``scripts`` writes the
sbatch scripts, ``client`` runs Slurm's commands, ``handover`` is the job description sent to a
node, ``worker`` executes it there, ``states`` determines the state of a run, and ``executor``
combines them.
"""
