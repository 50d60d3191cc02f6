"""Kubeflow Pipelines: tasks are containers on Kubernetes, artifacts lie in its object store.

``components`` says what a task is as a container, ``pods`` what Kubernetes is told about it;
``compile`` makes the definition with kfp, ``client`` talks to the API server, ``states`` reads how
a run stands, ``executor`` ties it together.
"""
