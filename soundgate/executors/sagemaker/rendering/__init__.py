"""Renders the definition of a SageMaker Pipeline, without AWS's libraries."""
