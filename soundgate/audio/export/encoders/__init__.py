"""Encoders as ONNX programs: waveforms to the embeddings of scenes."""
