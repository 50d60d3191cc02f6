"""The tests of the emulators of SageMaker and Kubeflow run when something they are made of changed.

They say whether an emulator keeps its platform's documented contract, which no change of Soundgate
can break: what Soundgate sends is tested on the emulators, always. So a test file marked
``pytest.mark.emulator(*modules)`` is skipped, with the reason, where it passed before with the same
emulator, tests, fixtures and libraries. CI=true and naming the file run it all the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fixture_cache import libraries, program


class EmulatorTests:
    """A plugin of pytest, for one process and for the workers of pytest-xdist."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.folder = Path(config.cache.mkdir("emulators"))
        self.pending: dict[str, list[Any]] = {}
        self.done: set[str] = set()
        self.failed: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Skip what is unchanged; remember the tests of the rest, before -k and -m choose."""
        for item in items:
            mark = item.get_closest_marker("emulator")
            if mark is None:
                continue
            name = item.nodeid.partition("::")[0]
            if name not in self.pending:
                self.pending[name] = [self._digest(item, mark.args), []]
            digest, tests = self.pending[name]
            tests.append(item.nodeid)
            if self._may_skip(item.path) and self._record(name) == digest:
                item.add_marker(
                    pytest.mark.skip(reason="emulator unchanged since it passed (CI=true runs it)")
                )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test ended; a worker's reports arrive here too."""
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.when == "call" or report.skipped:
            self.done.add(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker collected."""
        self.pending.update(getattr(node, "workeroutput", {}).get("emulators", {}))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write down the files of which every test ended well."""
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["emulators"] = self.pending
            return
        if any("::" in argument for argument in self.config.args):
            return
        for name, (digest, tests) in self.pending.items():
            if set(tests) <= self.done - self.failed:
                self._place(name).write_text(json.dumps({"file": name, "digest": digest}), "utf-8")

    def _digest(self, item: pytest.Item, emulators: tuple[str, ...]) -> str:
        modules: dict[str, str] = {}
        for module in (item.module.__name__, *emulators):
            modules |= program(module, self.folder)
        fixtures = item.path.with_name("conftest.py").read_text("utf-8")
        text = json.dumps([modules, fixtures, libraries()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _may_skip(self, path: Path) -> bool:
        named = {Path(argument.partition("::")[0]).resolve() for argument in self.config.args}
        return not os.environ.get("CI") and path not in named

    def _record(self, name: str) -> str | None:
        place = self._place(name)
        return json.loads(place.read_text("utf-8"))["digest"] if place.is_file() else None

    def _place(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '-')}.json"
