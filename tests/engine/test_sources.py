from __future__ import annotations

import importlib.metadata
import os
import sys
import textwrap
import time

import pytest

from soundgate.errors import DefinitionError
from soundgate.reuse import sources
from soundgate.reuse.digests import CLOCK_TICK_NS
from soundgate.reuse.sources import Sources

PLAIN = '''
"""A step."""
import json


def step(x: int = 1) -> int:
    """Add."""
    return x + 1
'''


class Project:
    def __init__(self, folder):
        self.folder = folder

    def write(self, path, text=""):
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text), "utf-8")
        sources.find_source.cache_clear()
        sources._top_level.cache_clear()
        sources.is_own.cache_clear()

    def program(self, module="programs.step"):
        return Sources(self.folder / "memory.json").program(module)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    found = Project(tmp_path)
    found.write("programs/__init__.py")
    found.write("programs/step.py", PLAIN)
    yield found
    for cached in (sources.find_source, sources._top_level, sources.is_own):
        cached.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("A step.", "Another text.").replace("Add.", "Add one."),
        PLAIN.replace('    """Add."""\n', ""),
        PLAIN.replace("\n\n\n", "\n\n# a comment\n"),
        PLAIN.replace("x + 1", "(x\n            + 1)  # comment"),
        PLAIN.replace("import json", "import json\n\n'a string nobody reads'"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(project, text):
    before = project.program()
    project.write("programs/step.py", text)
    assert project.program().modules == before.modules


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("+ 1", "+ 2"),
        PLAIN.replace("x: int = 1", "x: int = 2"),
        PLAIN.replace("import json", "import csv"),
        PLAIN.replace("return x + 1", "return 'x'"),
        PLAIN + "x = 1\n",
    ],
)
def test_code_counts(project, text):
    before = project.program()
    project.write("programs/step.py", text)
    assert project.program().modules != before.modules


def imported(project, text):
    """Names of modules found from ``text``, but for the step and its package."""
    project.write("programs/step.py", text)
    return set(project.program().modules) - {"programs", "programs.step"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import programs.a", {"a"}),
        ("import programs.a as b", {"a"}),
        ("from programs import a", {"a"}),
        ("from programs.a import f", {"a"}),
        ("from . import a", {"a"}),
        ("from .a import f", {"a"}),
        ("from .sub import b", {"sub", "sub.b"}),
        ("from .sub.b import f", {"sub", "sub.b"}),
        ("def f():\n    if x:\n        from programs import a", {"a"}),
        ("try:\n    import programs.a\nexcept ImportError:\n    pass", {"a"}),
        ("TABLE = {'b': 'programs.sub.b:f'}", {"sub.b"}),
        ("TABLE = ['programs.a', 'programs.missing', 'Not a.name']", {"a"}),
        ("from programs import nothing", set()),
        ("import programs.uses_a", {"uses_a", "a"}),
        ("from programs.sub import up", {"sub", "sub.up", "a"}),
        (
            """
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                import programs.a
            """,
            set(),
        ),
        (
            """
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                import programs.a
            else:
                import programs.sub.b
            """,
            {"sub", "sub.b"},
        ),
    ],
)
def test_every_module_that_is_run_is_found(project, text, names):
    project.write("programs/a.py", "x = 1")
    project.write("programs/uses_a.py", "def f():\n    import programs.a")
    project.write("programs/sub/__init__.py")
    project.write("programs/sub/b.py", "x = 1")
    project.write("programs/sub/up.py", "from ..a import x")
    assert imported(project, textwrap.dedent(text)) == {f"programs.{name}" for name in names}


def test_a_package_of_the_project_beside_the_steps_counts_as_its_own(project):
    project.write("layers.py", "x = 1")
    project.write("nets/big.py", "x = 1")
    assert imported(project, "import layers\nfrom nets import big") == {"layers", "nets.big"}
    before = project.program()
    project.write("nets/big.py", "x = 2")
    assert project.program() != before


def test_what_several_steps_import_is_found_for_each(project):
    project.write("programs/a.py", "x = 1")
    project.write("programs/other.py", "import programs.a")
    project.write("programs/step.py", "import programs.a")
    both = Sources(project.folder / "memory.json")
    assert "programs.a" in both.program("programs.step").modules
    assert "programs.a" in both.program("programs.other").modules


def test_two_modules_that_import_each_other_end(project):
    project.write("programs/a.py", "import programs.step")
    assert imported(project, "import programs.a") == {"programs.a"}


def version(distribution):
    return importlib.metadata.version(distribution)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import yaml", ["pyyaml"]),
        ("import PIL.Image", ["pillow"]),
        ("def f():\n    from rich.table import Table", ["rich", "markdown-it-py", "mdurl"]),
        ("import librosa", ["librosa", "scipy", "numpy", "numba", "llvmlite"]),
        ("import onnxscript", ["onnxscript", "onnx-ir", "ml-dtypes"]),
    ],
)
def test_keys_versions_of_libraries_and_of_what_they_load(project, text, names):
    project.write("programs/step.py", text)
    found = project.program().libraries
    assert {name: found.get(name) for name in names} == {name: version(name) for name in names}


def test_keys_no_library_that_nothing_imports(project):
    project.write("programs/step.py", "import yaml")
    assert list(project.program().libraries) == ["pyyaml"]


def test_notices_a_newly_installed_version(project, tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    info = site / "loudness-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "loudness.py").touch()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loudness\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("loudness\n")
    monkeypatch.syspath_prepend(site)
    project.write("programs/step.py", "import loudness")
    assert project.program().libraries == {"loudness": "1.0"}
    newer = info.rename(site / "loudness-1.1.dist-info")
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: loudness\nVersion: 1.1\n")
    assert project.program().libraries == {"loudness": "1.1"}


@pytest.mark.parametrize("name", ["table.csv", "templates/page.html", "templates/deep/a.json"])
def test_keys_data_files_beside_a_module(project, name):
    project.write(f"programs/{name}", "1")
    before = project.program()
    assert f"programs/{name}" in before.modules
    project.write(f"programs/{name}", "2")
    assert project.program() != before


def test_keys_no_data_of_the_project_folder_or_of_another_package(project):
    project.write("notes.txt", "1")
    project.write("programs/other/__init__.py")
    project.write("programs/other/table.csv", "1")
    project.write("layers.py", "x = 1")
    project.write("programs/step.py", "import layers")
    assert set(project.program().modules) == {"programs", "programs.step", "layers"}


def test_keys_modules_on_the_python_path(project, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("lib")
    monkeypatch.syspath_prepend(elsewhere)
    (elsewhere / "gains.py").write_text("x = 1")
    project.write("programs/step.py", "import gains")
    before = project.program()
    assert "gains" in before.modules
    (elsewhere / "gains.py").write_text("x = 2")
    assert project.program().modules != before.modules


def test_keys_modules_named_in_a_table_of_another_own_package(project):
    project.write("nets/__init__.py", "TABLE = {'big': 'nets.big:Net'}")
    project.write("nets/big.py", "x = 1")
    assert imported(project, "import nets") == {"nets", "nets.big"}


def test_notices_an_edit_with_its_time_put_back(project):
    path = project.folder / "programs" / "step.py"
    os.utime(path, ns=(10**18, 10**18))
    time.sleep(2 * CLOCK_TICK_NS / 1e9)
    before = project.program()
    project.write("programs/step.py", PLAIN.replace("+ 1", "+ 2"))
    os.utime(path, ns=(10**18, 10**18))
    assert project.program().modules != before.modules


def test_looks_again_only_where_asked(project):
    sources = Sources(project.folder / "memory.json")
    before = sources.program("programs.step")
    project.write("programs/step.py", PLAIN.replace("+ 1", "+ 2"))
    assert sources.program("programs.step") is before
    assert sources.program("programs.step", afresh=True) != before


def test_nothing_is_imported_while_reading(project):
    project.write("programs/__init__.py", "raise RuntimeError('imported')")
    project.write("programs/a.py", "raise RuntimeError('imported')")
    project.write("programs/step.py", "import programs.a\nraise RuntimeError('imported')")
    assert set(project.program().modules) == {"programs", "programs.a", "programs.step"}
    assert not [name for name in sys.modules if name.startswith("programs")]


def test_a_module_without_source_is_answered(project):
    with pytest.raises(DefinitionError, match=r"^programs\.none: no such module; a step is a file"):
        project.program("programs.none")


def test_an_unchanged_file_is_not_parsed_again(project, monkeypatch):
    time.sleep(2 * CLOCK_TICK_NS / 1e9)
    first = project.program()
    monkeypatch.setattr(sources.ast, "parse", lambda *_: pytest.fail("parsed"))
    assert project.program() == first


def test_a_damaged_memory_is_as_good_as_none(project):
    first = project.program()
    for damaged in ("{", '{"' + str(project.folder / "programs/step.py") + '": [1, "x"]}'):
        (project.folder / "memory.json").write_text(damaged)
        assert project.program() == first


def test_the_library_itself_is_part_of_a_program(project):
    project.write("programs/step.py", "from soundgate.step import main")
    found = project.program().modules
    assert {"soundgate", "soundgate.step", "soundgate.runs", "soundgate.reuse.digests"} <= set(
        found
    )
