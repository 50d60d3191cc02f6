"""A service over trained models of every system: audio in, scores, decisions and events out.

    settings.py   what an operator chooses
    models/       from folders and registries to models in memory, and their replacement
    scoring/      from uploads to answers: decoding, batches of many clients, what is answered
    web/          routes, limits and what each protocol looks like
    server.py     a process that listens

Nothing here knows of a registry: ``soundgate serve`` hands over sources of models. Torch is
imported only where a model has no exported program.
"""
