"""What other platforms and live sound expect.

sagemaker.py   a container of SageMaker: ``/ping`` and ``/invocations``
kserve.py      the open inference protocol, version 2, of KServe and Triton
live.py        a WebSocket that takes PCM and answers scores and events
"""
