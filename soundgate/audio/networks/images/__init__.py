"""Networks of images: torchvision's, the project's own small ones, and one network a label.

torchvision_networks.py  torchvision's networks as backbones
small.py                 the project's own classifiers as backbones
per_label.py             one network a label
widths.py                images of several widths in one batch
"""
