"""Which files of the suite its workers begin with."""

from __future__ import annotations

LONGEST = (
    "test_aed_recovery.py",
    "conformance/test_kubeflow.py",
    "sagemaker/test_aed_on_sagemaker.py",
    "conformance/test_sagemaker.py",
    "audio/test_export.py",
    "test_aed_champion.py",
    "test_registry.py",
    "test_review.py",
    "conformance/test_slurm.py",
    "kubeflow/test_tagging_on_kubeflow.py",
    "sagemaker/test_executor.py",
    "sagemaker/test_tagging_on_sagemaker.py",
    "kubeflow/test_compile.py",
    "kubeflow/test_spot_on_kubeflow.py",
    "test_readme.py",
    "kubeflow/test_aed_on_kubeflow.py",
    "conformance/test_example.py",
    "slurm/test_aed_on_slurm.py",
    "test_store.py",
    "engine/test_sources.py",
    "attacks/test_attacks.py",
    "sagemaker/test_spot_on_sagemaker.py",
    "engine/test_lifetimes.py",
    "kubeflow/test_kubeflow_executor.py",
    "audio/test_report_browser.py",
    "slurm/test_cluster_faults.py",
    "slurm/test_tagging_on_slurm.py",
    "test_campaign.py",
)
"""The files that take longest, longest first: a worker takes whole files."""
