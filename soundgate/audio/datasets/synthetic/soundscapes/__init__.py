"""Soundscapes of two domains in the layouts of DESED and MAESTRO: no download is needed."""
