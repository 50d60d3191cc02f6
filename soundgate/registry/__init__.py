"""Model registry on MLflow: tracked runs, and candidates with the evidence for their review.

``connection`` opens the registry, ``tracking`` keeps one MLflow run for each Soundgate run,
``epochs`` writes a training's curves there, and ``candidates`` registers a model that passed its
gates. MLflow itself, whose import takes seconds, is imported at the first use. Import what you need
from its module: a step's reuse then depends on that module alone.
"""
