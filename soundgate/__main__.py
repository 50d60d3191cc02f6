"""``python -m soundgate COMMAND``: the command line, where its programs are not on the path."""

from __future__ import annotations

import sys

from soundgate.cli import main

sys.exit(main())
