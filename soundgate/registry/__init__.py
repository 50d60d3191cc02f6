"""Model registry on MLflow: tracked runs, and candidates with the evidence for their review.

``service`` opens the registry and keeps one MLflow run for each Soundgate run, ``versions`` finds
versions and fetches their files, ``candidates`` registers a model that passed its gates, ``review``
decides on it, and ``notifications`` tells others. MLflow itself, whose import takes seconds, is
imported at the first use. Import what you need from its module: a step's reuse then depends on that
module alone.
"""
