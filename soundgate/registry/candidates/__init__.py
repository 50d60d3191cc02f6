"""Registering candidates: what becomes a version, and how MLflow shows it."""
