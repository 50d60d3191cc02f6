"""Which files of the suite its workers begin with."""

from __future__ import annotations

LONGEST = (
    "sagemaker/test_aed_on_sagemaker.py",
    "conformance/test_slurm.py",
    "conformance/test_kubeflow.py",
    "conformance/test_sagemaker.py",
    "kubeflow/test_aed_on_kubeflow.py",
    "test_aed_champion.py",
    "audio/test_export.py",
    "test_readme.py",
    "test_review.py",
    "slurm/test_aed_on_slurm.py",
    "test_aed_recovery.py",
    "kubeflow/test_tagging_on_kubeflow.py",
    "kubeflow/test_spot_on_kubeflow.py",
    "sagemaker/test_spot_on_sagemaker.py",
    "sagemaker/test_tagging_on_sagemaker.py",
    "test_registry.py",
    "test_store.py",
    "audio/test_report_browser.py",
    "sagemaker/test_executor.py",
    "conformance/test_example.py",
)
"""The files that take longest, longest first: a worker takes whole files."""
