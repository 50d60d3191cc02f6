"""Commands on sound, its annotations and models, which start no run.

convert.py      annotations between formats
corpora.py      corpora of recordings, and data sets cut from them
detectors.py    detectors of earlier tools, and detections that people correct
benchmark.py    figures of folders of detections
export_tags.py  a tagger's report in the files of its users
events.py       scores of sound events: judged, tuned, post-processed
encoders.py     weights for machines without internet, ONNX programs
hdf5.py         corpora and embeddings of SEC_pipeline
search.py       the nearest recordings, and classifiers of labels
serve.py        the service
"""
