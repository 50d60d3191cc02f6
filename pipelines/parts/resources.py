"""What the tasks of a training pipeline ask for where nothing of theirs says otherwise."""

from __future__ import annotations

from soundgate.pipeline import Resources

CPU = Resources(cpus=4, memory_gb=8, hours=2)
GPU = Resources(cpus=8, gpus=1, memory_gb=32, hours=4)
CHECK = Resources(memory_gb=1, hours=0.1)
"""Of a task that reads a report and says yes or no."""
