"""Toy pipelines; each test writes its own."""
