"""Executes a SageMaker pipeline definition, the JSON that would be submitted, without SageMaker.

A contract test harness: every Processing and Training step is a process that sees what its
container would see (a private ``/opt/ml``, the command, the environment, the S3 objects), and what
it leaves is collected as the service would. S3 and the model registry are any AWS endpoint. So a
run here proves that references resolve, that programs find their files, that archives, reports,
gates, messages, checkpoints and cache keys fit together.

    account = Account(endpoint_url, image=Image(project), folder=tmp_path)
    execution = Execution(account, json.loads(definition), pipeline="aed", parameters={...})
    assert execution.run() == "Succeeded", execution.why()

What stands for what:

* the image: a Python of this machine and a project folder, read-only at ``/opt/program``
  (``container``);
* the container: mount and process namespaces; the program is process 1, its environment is
  exactly what definition, image and platform give; SIGTERM, a grace, then SIGKILL;
* the job: ``processing`` and ``training``, after the pages "How Amazon SageMaker AI Provides
  Training Information", "... Processes Training Output", "Build Your Own Processing Container";
* the service: ``execution`` (order, parallelism, failure, stop, retry, selective execution),
  ``cache`` and ``retries`` (the documented keys and policies), ``registration``, and ``shapes``
  (what ``Create...Job`` refuses: botocore's service model).

It is stricter than the service where the service is not documented: nothing is converted silently,
a checkpoint folder is synchronised but never cleaned, no variable comes from the host. It proves
nothing of IAM, quotas, images, GPUs, several hosts or the service's own validation. What is not
supported raises ``NotImplementedError``; it is never passed over.
"""

from __future__ import annotations

from definition_runner.account import Account
from definition_runner.cache import Cache
from definition_runner.container import Image, why_not
from definition_runner.errors import Refused
from definition_runner.execution import Execution
from definition_runner.faults import Faults
from definition_runner.graph import all_steps, check

__all__ = [
    "Account",
    "Cache",
    "Execution",
    "Faults",
    "Image",
    "Refused",
    "all_steps",
    "check",
    "why_not",
]
