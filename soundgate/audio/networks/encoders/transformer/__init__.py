"""Encoders whose folder ``save_pretrained`` of ``transformers`` wrote.

folder.py   what a folder holds: a model, loaded strictly, and how its sound is prepared
speech.py   wav2vec 2.0, HuBERT, WavLM
patches.py  the Audio Spectrogram Transformer
whisper.py  Whisper's encoder
laion.py    CLAP of LAION, sounds and sentences
"""
