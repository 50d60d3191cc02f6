"""Rows about what is sent to an engine."""

from __future__ import annotations

import json

from conformance.table import row


class Sending:
    """Part of the suite."""

    @row
    def test_request(self, engine):
        """`--dry-run` prints exactly what is sent and what `request.txt` keeps."""
        body = 'from steps.join import join\nt.add(join, name="one", text="sent")\n'
        module = engine.toy.pipeline("sent", body)
        for words in ([], ["--no-cache"], []):
            shown = engine.run(module, "--dry-run", "--output", "json", *words)
            assert shown.returncode == 0, shown.stderr
            ended = engine.run(module, *words)
            assert ended.returncode == 0, ended.stdout + ended.stderr
            run = engine.record()["run"]
            folder = engine.toy.folder / "runs" / "sent" / run
            kept = (folder / "request.txt").read_text("utf-8")
            assert kept == json.loads(shown.stdout)["request"].replace("RUN-ID", run)
            engine.check_received(folder, kept)
