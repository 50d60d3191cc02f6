"""What clients see.

app.py          the application
state.py        what routes share; the end of work whose client left
page.py         the form
gate.py         before every route: key, room, body, request id
problems.py     errors as problem JSON (RFC 9457)
measures.py     what Prometheus reads
uploads.py      files of a request, on disk while they are scored
health.py       health, version, models
protocols/      SageMaker, KServe, live sound
predicting.py   recordings in, answers out
directories.py  folders of the server below declared roots
"""
