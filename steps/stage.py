"""Bring weights and other assets to where compute nodes without network can read them.

Reads   nothing of the run: web addresses and paths
Writes  staged/    the files under their names; assets.json: source, size and SHA-256 of each

    stage(assets=["clap.pth=https://host/CLAP_weights_2023.pth@sha256:0d2c..."])

A digest that is given must fit; one that is not given is written down, so that it is known which
bytes were used.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from soundgate.errors import ParameterError
from soundgate.step import OutputPath, main
from soundgate.store.assets import LISTING, bring, parse_asset


def stage(staged: OutputPath, *, assets: list[str]) -> None:
    """Copy each asset, ``NAME=SOURCE`` or ``NAME=SOURCE@sha256:HEX``; check what can be checked."""
    listing = {}
    for asset in map(parse_asset, assets):
        if asset.name in listing:
            raise ParameterError(f"assets: two assets are called {asset.name!r}; rename one")
        brought = bring(asset, staged)
        listing[asset.name] = asdict(brought)
        print(f"{asset.name}: {brought.bytes / 1e6:.1f} MB, sha256:{brought.sha256[:12]}")
    (staged / LISTING).write_text(json.dumps(listing, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(stage)
