"""Encoders: waveforms to vectors that say what they sound like.

interface.py     what every encoder can do, and the settings that choose one
catalogue.py     encoders by name
module.py        those that are modules of torch
clap/            Microsoft's CLAP; transformer/ those of folders of transformers
yamnet.py        YAMNet from a Keras file
onnx_program.py  ONNX programs
hear.py          packages with the HEAR API
text.py          sentences, and how well they fit sounds
loading.py       models of transformers, fresh or from a folder, never fetched
ast.py, wav2vec.py  backbones of taggers: AST (Gong et al. 2021), wav2vec 2.0 (Baevski et al. 2020)
"""
