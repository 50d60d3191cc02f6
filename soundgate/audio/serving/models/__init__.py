"""From folders and registries to models in memory.

sources.py     where a model comes from, and which one is there now
opened.py      a model in memory, with what runs it
catalogue.py   all models of a service, and the replacement of one by its next version
"""
