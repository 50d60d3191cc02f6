"""Programs of the sec pipeline: embeddings of whole corpora, and classifiers on them."""
