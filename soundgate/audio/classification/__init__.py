"""Clip and patch classification: plan, training, evaluation, cross-validation."""
