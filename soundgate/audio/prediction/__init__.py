"""Score any audio with a trained model: a folder, a file, or the rows of a table.

A file no longer than a classifier's ``preprocessing.max_length``, or than a minute where the model
is a tagger, is one clip, scored exactly as evaluation scores it. A longer one is cut into segments,
each of them a clip with times in the file. ``predictors`` holds what differs between systems.

    clips.{csv,parquet,jsonl}     a row a clip: path, start_s, end_s, predicted, score, unknown,
                                  remark, and the score of each class
    patches.{csv,parquet,jsonl}   a row a patch, or a chunk of a tagger: path, start_s, end_s, the
                                  score of each class
    failures.jsonl                a row for what could not be read: path, start_s, end_s, reason
    predictions.json              model, columns, settings, counts, throughput; written last

Rows are sorted by path and time. Nothing but the settings and the audio has a say in them: not the
number of workers, not the order in which a folder lists its files, not what shares a batch.

Start with ``prediction.predict``. Importing this package imports none of it: a pipeline reads
``choices`` where no audio library need be.
"""
