"""Slurm: the same tasks as batch jobs of an HPC cluster.

``profile`` says what a site has, ``jobs`` decides which tasks share a job, ``scripts`` writes them
as sbatch scripts, ``client`` talks to the controller, ``worker`` is what a job runs on its node,
``handover`` is what the worker is told, ``states`` finds out how a run stands, and ``executor``
puts them together.
"""
