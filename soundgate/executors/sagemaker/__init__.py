"""SageMaker: the same tasks as managed jobs of a SageMaker Pipeline.

``profile`` describes the site, ``instances`` chooses machines. ``rendering`` writes the definition
and does not use AWS, ``validation`` checks it, ``service`` talks to AWS, ``executor`` combines
them.

In ``rendering``, ``expressions`` and ``parameters`` are the definition's small language,
``locations`` says where artifacts are stored, ``joins`` plans a job's inputs, ``steps`` writes
a ``job`` as a Processing or Training step within ``limits``, ``gates`` nests the tasks
that wait for gates, ``packages`` registers models, and ``definition`` combines them.
"""
