"""Encoders of ``transformers``: AST, wav2vec 2.0, and wav2vec's convolutions alone.

loading.py  their libraries' models, fresh or from a folder, never fetched
ast.py      the Audio Spectrogram Transformer (Gong et al. 2021)
wav2vec.py  wav2vec 2.0 (Baevski et al. 2020)
"""
