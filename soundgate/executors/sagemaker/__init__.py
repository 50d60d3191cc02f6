"""SageMaker: the same tasks as managed jobs of a SageMaker Pipeline.

The rendering half knows no AWS: ``profile`` says what a site has, ``instances`` which machines fit
a task, ``expressions`` and ``parameters`` are the definition's small language, ``placement`` says
where artifacts lie, ``joins`` how a job comes to what it reads, ``jobs`` writes Processing and
Training steps within ``limits``, ``gates`` nests what waits for gates, ``packages`` enters models
into the registry, and ``definition`` puts them together.
"""
