"""Print the table of pretrained backbones."""

from __future__ import annotations

from soundgate.audio.networks.keras import main

main()
