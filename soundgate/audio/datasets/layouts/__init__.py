"""Data as users write them, ``<type>:<path>``: ``irmastrain:irmas/train,csv:labels.csv``.

``strings`` reads such texts and ``declaration`` says, where a pipeline is declared, which files
they bring; a module each lists the clips of a type; ``collection`` joins what several bring.
"""
