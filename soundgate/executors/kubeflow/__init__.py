"""Kubeflow Pipelines: tasks are containers on Kubernetes, artifacts lie in its object store.

``profile`` describes the site, ``rendering`` compiles the document with kfp, ``service`` talks to
the API server and the artifact store, ``executor`` combines them.
"""
