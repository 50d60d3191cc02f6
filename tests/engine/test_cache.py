"""Reuse, as a user sees it: two runs of one project, and what the second one does."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from toy_project import wait_for

CHAIN = """
a = t.add(work, name="a", source=t.file("input.txt"), text=p.text)
b = t.add(work, name="b", source=a["out"], text=p.other)
t.add(work, name="c", source=b["out"])
"""
PARAMETERS = 'text: str = "x"\nother: str = "y"\n'


@pytest.fixture(scope="module")
def chain_that_ran(new_toy):
    toy = new_toy()
    toy.write("input.txt", "i")
    assert toy.run(toy.pipeline("chain", CHAIN, PARAMETERS)).returncode == 0
    assert toy.ran() == ["a", "b", "c"]
    (toy.folder / "events.txt").unlink()
    return toy.folder


@pytest.fixture
def chain(toy, chain_that_ran):
    """A project whose pipeline ran once."""
    shutil.copytree(chain_that_ran, toy.folder, dirs_exist_ok=True)
    return "pipelines.chain"


def plan(toy, module, *words):
    """What would be done: task to (action, reason)."""
    shown = toy.run(module, "--dry-run", "--output", "json", *words)
    assert shown.returncode == 0, shown.stderr
    return {p["task"]: (p["action"], p["reason"]) for p in json.loads(shown.stdout)["plan"]}


def again(toy, module, *words):
    """Run once more; return the tasks that were really run."""
    ended = toy.run(module, *words)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    ran = toy.ran()
    (toy.folder / "events.txt").unlink(missing_ok=True)
    return ran


def test_nothing_changed_so_nothing_is_run(toy, chain):
    first = toy.runs()[0].name
    assert plan(toy, chain) == dict.fromkeys("abc", ("reuse", f"unchanged since run {first}"))
    assert again(toy, chain) == []
    assert toy.states() == {"a": "reused", "b": "reused", "c": "reused"}
    mark = json.loads((toy.runs()[1] / "tasks" / "c" / "task.json").read_text("utf-8"))
    assert (mark["state"], mark["reused_from"], mark["run"]) == (
        "reused",
        first,
        toy.runs()[1].name,
    )
    assert again(toy, chain) == []  # what was reused can be reused, and names its origin
    assert toy.record()["tasks"]["a"]["reason"] == f"unchanged since run {first}"


def test_an_argument_that_changed_is_named_and_runs_what_follows(toy, chain):
    planned = plan(toy, chain, "--set", "other=z")
    assert planned["a"][0] == "reuse"
    assert planned["b"] == ("run", "argument changed: text y -> z")
    assert planned["c"] == ("run", "depends on b; reused if that writes the same bytes")
    assert again(toy, chain, "--set", "other=z") == ["b", "c"]
    assert again(toy, chain) == []  # the first result is still known


def test_the_same_bytes_upstream_stop_the_change_there(toy, chain):
    """Early cut-off: ``a`` runs anew because its program changed, and writes what it wrote."""
    path = toy.folder / "steps" / "work.py"
    text = path.read_text("utf-8")
    toy.write("steps/other.py", text.replace("characters", "letters").replace("work", "other"))
    body = CHAIN.replace('add(work, name="a"', 'add(other, name="a"')
    toy.pipeline("chain", f"from steps.other import other\n{body}", PARAMETERS)
    planned = plan(toy, chain)
    assert planned["a"][0] == "run"
    assert planned["a"][1].startswith("program changed: ")
    assert "steps.other" in planned["a"][1]
    assert again(toy, chain) == ["a"]
    assert toy.states() == {"a": "succeeded", "b": "reused", "c": "reused"}


def test_an_input_that_changed_is_named(toy, chain):
    toy.write("input.txt", "j")
    assert plan(toy, chain)["a"] == ("run", "input changed: source")
    assert again(toy, chain) == ["a", "b", "c"]


def test_an_input_that_was_only_touched_is_not_a_change(toy, chain):
    (toy.folder / "input.txt").touch()
    assert again(toy, chain) == []


def test_a_program_that_changed_is_named(toy, chain):
    path = toy.folder / "steps" / "work.py"
    text = path.read_text("utf-8")
    path.write_text(text.replace('note("end")', 'note("the end")'), "utf-8")
    assert plan(toy, chain)["a"] == ("run", "program changed: steps.work")
    path.write_text(f"# a comment\n{text}", "utf-8")
    assert again(toy, chain) == []


def test_a_library_that_changed_is_named(toy, chain):
    for last in toy.folder.glob("runs/.cache/last/chain/*.json"):
        known = json.loads(last.read_text("utf-8"))
        last.write_text(json.dumps({**known, "libraries": {"torch": "1.0"}}))
    shutil.rmtree(toy.folder / "runs" / ".cache" / "keys")
    assert plan(toy, chain)["a"] == ("run", "library changed: torch")


def test_a_python_that_changed_is_named(toy, chain):
    for last in toy.folder.glob("runs/.cache/last/chain/*.json"):
        known = json.loads(last.read_text("utf-8"))
        last.write_text(json.dumps({**known, "python": "3.1"}))
    shutil.rmtree(toy.folder / "runs" / ".cache" / "keys")
    assert plan(toy, chain)["a"][1].startswith("Python changed: 3.1 -> 3.")


@pytest.mark.parametrize("change", ["write", "add", "delete", "empty"])
def test_an_output_that_was_altered_is_noticed(toy, chain, change):
    result = toy.runs()[0] / "tasks" / "b" / "out" / "result.txt"
    if change == "write":
        result.write_text("forged", "utf-8")
    elif change == "add":
        (result.parent / "more").touch()
    elif change == "delete":
        result.unlink()
    else:
        shutil.rmtree(result.parent)
    assert plan(toy, chain)["b"] == ("run", "its output out was altered or deleted")
    assert again(toy, chain) == ["b"]
    assert (toy.runs()[1] / "tasks" / "c" / "out" / "result.txt").read_text("utf-8") == "yxi"


def test_a_deleted_run_costs_time_and_nothing_else(toy, chain):
    shutil.rmtree(toy.runs()[0])
    assert plan(toy, chain)["a"] == ("run", "its result was deleted")
    assert again(toy, chain) == ["a", "b", "c"]


def test_a_deleted_index_costs_time_and_nothing_else(toy, chain):
    shutil.rmtree(toy.folder / "runs" / ".cache")
    assert plan(toy, chain)["a"] == ("run", "never ran")
    assert again(toy, chain) == ["a", "b", "c"]


def test_results_are_shared_not_copied_and_outlive_the_run_that_made_them(toy, chain):
    assert again(toy, chain) == []
    one, two = (run / "tasks" / "c" / "out" / "result.txt" for run in toy.runs())
    assert one.stat().st_ino == two.stat().st_ino
    shutil.rmtree(toy.runs()[0])
    assert two.read_text("utf-8") == "yxi"


def test_reuses_results_of_later_runs_after_the_first_is_deleted(toy, chain):
    assert again(toy, chain) == []
    assert again(toy, chain) == []
    first, second, _ = toy.runs()
    shutil.rmtree(first)
    assert plan(toy, chain)["a"][0] == "reuse"
    assert again(toy, chain) == []
    shutil.rmtree(second)
    assert again(toy, chain) == []


def test_notices_inputs_that_change_places(toy):
    """Two clips of one size and one time, as archives have them."""
    for name, text in (("a", "1"), ("b", "2")):
        os.utime(toy.write(f"clips/{name}", text), ns=(10**18, 10**18))
    module = toy.pipeline("clips", 't.add(work, source=t.file("clips"))')
    assert again(toy, module) == ["work"]
    assert again(toy, module) == []
    clips = toy.folder / "clips"
    (clips / "a").rename(clips / "x")
    (clips / "b").rename(clips / "a")
    (clips / "x").rename(clips / "b")
    assert plan(toy, module)["work"] == ("run", "input changed: source")


def test_a_result_made_again_in_its_place_does_not_change_the_runs_that_share_it(toy, chain):
    """And the old key does not lead to the new result."""
    assert again(toy, chain) == []
    first, second = toy.runs()
    path = toy.folder / "steps" / "work.py"
    text = path.read_text("utf-8")
    path.write_text(text.replace('text += ""', 'text = "new" + ""'), "utf-8")
    assert toy.cli("run-pipeline", "--resume", first.name).returncode == 0
    assert toy.ran() == ["a", "b", "c"]
    (toy.folder / "events.txt").unlink()
    assert (first / "tasks" / "c" / "out" / "result.txt").read_text("utf-8").startswith("new")
    assert (second / "tasks" / "c" / "out" / "result.txt").read_text("utf-8") == "yxi"
    path.write_text(text, "utf-8")
    assert again(toy, chain) in ([], ["a", "b", "c"])
    assert (toy.runs()[2] / "tasks" / "c" / "out" / "result.txt").read_text("utf-8") == "yxi"


def test_no_cache_runs_everything_and_remembers_it(toy, chain):
    assert plan(toy, chain, "--no-cache")["a"][1] == "always runs (--no-cache)"
    assert again(toy, chain, "--no-cache") == ["a", "b", "c"]
    assert again(toy, chain) == []


def test_a_task_may_opt_out(toy):
    module = toy.pipeline(
        "fresh",
        """
        a = t.add(work, name="a", text="x", reuse=False)
        t.add(work, name="b", source=a["out"])
        """,
    )
    assert again(toy, module) == ["a", "b"]
    assert plan(toy, module)["a"] == ("run", "always runs (reuse is off for this task)")
    assert again(toy, module) == ["a"]


def test_a_result_is_found_across_pipelines_and_task_names(toy, chain):
    module = toy.pipeline("other", 't.add(work, name="z", source=t.file("input.txt"), text="x")')
    assert again(toy, module) == []


def test_a_default_spelt_out_is_the_same_task(toy):
    module = toy.pipeline(
        "d", 't.add(work, text="x", **({"seconds": 0.0} if p.said else {}))', "said: bool = False\n"
    )
    assert again(toy, module) == ["work"]
    assert again(toy, module, "--set", "said=true") == []


def test_a_failed_task_is_not_reused(toy):
    module = toy.pipeline("f", 't.add(work, text="x", fail="bug")')
    assert [toy.run(module).returncode for _ in range(2)] == [1, 1]
    assert toy.ran() == ["work", "work"]


def test_an_unchanged_folder_of_inputs_is_not_read_again(toy):
    toy.write("clips/a", "1")
    toy.write("clips/b", "2")
    module = toy.pipeline("clips", 't.add(work, source=t.file("clips"))')
    again(toy, module)
    code = """
        from soundgate.reuse import digests
        read = []
        real = digests.file_sha256
        digests.file_sha256 = lambda path: (read.append(path), real(path))[1]
        from soundgate.cli import main
        main(["run-pipeline", "-n", "pipelines.clips", "--dry-run"])
        print("READ", len(read))
    """
    toy.python(code)  # what was written a moment before it was read is read once more
    assert "READ 0" in toy.python(code).stdout
    toy.write("clips/b", "33")
    assert "READ 1" in toy.python(code).stdout


def test_a_variable_a_task_depends_on_belongs_to_its_key(toy, monkeypatch):
    module = toy.pipeline("there", 't.add(work, name="a", environment=["REGISTRY"])\n')
    monkeypatch.setenv("REGISTRY", "one:secret")
    assert again(toy, module) == ["a"]
    assert again(toy, module) == []
    monkeypatch.setenv("REGISTRY", "two:secret")
    assert plan(toy, module) == {"a": ("run", "variable changed: REGISTRY")}
    assert again(toy, module) == ["a"]
    kept = [p for p in (toy.folder / "runs" / ".cache").rglob("*") if p.is_file()]
    assert not any(b"secret" in p.read_bytes() for p in kept)


@pytest.mark.parametrize("loss", ["deleted", "changed"])
def test_a_result_that_goes_away_while_it_is_linked_is_made_again(tmp_path, monkeypatch, loss):
    from soundgate import runs
    from soundgate.reuse import cache
    from soundgate.reuse.digests import digest_tree

    source = tmp_path / "source"
    (source / "out").mkdir(parents=True)
    (source / "out" / "x").write_text("1")
    tree = digest_tree(source / "out")
    tree.write(source / "out.files")
    mark = {"outputs": {"out": {"digest": tree.digest}}, "run": "r1"}
    link = cache._link_tree

    def interrupted(old, new):
        if loss == "deleted":
            shutil.rmtree(old)
        link(old, new)
        (new / "x").unlink()
        (new / "x").write_text("2 and more")

    monkeypatch.setattr(cache, "_link_tree", interrupted)
    found = cache.Cache(tmp_path).adopt(
        cache.Hit(source, mark), tmp_path / "target", runs.Context(task="t", run="r2")
    )
    assert found is None
    assert runs.read_mark(tmp_path / "target") is None


def test_a_step_tells_that_what_it_did_elsewhere_is_undone(toy):
    """As a model that was registered, and deleted since."""
    toy.write(
        "steps/publish.py",
        """
        from pathlib import Path
        from soundgate.step import OutputPath, main


        def undone(outputs, root):
            address = Path((outputs["out"] / "where.txt").read_text())
            assert root.name == "runs"
            return "" if address.exists() else f"{address.name} is gone"


        def publish(out: OutputPath) -> None:
            with Path("published.txt").open("a") as file:
                file.write("x")
            (out / "where.txt").write_text("published.txt")


        if __name__ == "__main__":
            main(publish)
        """,
    )
    module = toy.pipeline("published", "from steps.publish import publish\nt.add(publish)")
    published = toy.folder / "published.txt"
    for _ in range(2):
        assert toy.run(module).returncode == 0
        assert published.read_text() == "x"
    assert plan(toy, module)["publish"][0] == "reuse"
    published.unlink()
    assert plan(toy, module)["publish"] == ("run", "published.txt is gone")
    assert toy.run(module).returncode == 0
    assert published.read_text() == "x"
    published.unlink()
    assert toy.cli("run-pipeline", "--resume", "last").returncode == 0
    assert published.read_text() == "x"


def while_running(toy, module, change):
    """Run a pipeline whose first task takes a second, and change something meanwhile."""
    started = toy.begin(module)
    wait_for((toy.folder / "events.txt").exists)
    change()
    out, error = started.communicate(timeout=60)
    assert started.returncode == 0, out + error
    (toy.folder / "events.txt").unlink()
    return out


@pytest.mark.parametrize("kind", ["program", "input"])
def test_a_result_made_of_files_that_changed_meanwhile_is_never_reused(toy, kind):
    """Edited while an earlier task ran, and put back afterwards."""
    path = toy.folder / ("steps/work.py" if kind == "program" else "input.txt")
    toy.write("input.txt", "i")
    module = toy.pipeline(
        "late",
        """
        a = t.add(work, name="a", text="x", seconds=1.0)
        t.add(work, name="b", source=t.file("input.txt"), text="y", after=[a])
        """,
    )
    before = path.read_text("utf-8")
    edited = before.replace('text += ""', 'text += "new" + ""') if kind == "program" else "j"
    while_running(toy, module, lambda: path.write_text(edited, "utf-8"))
    made = toy.runs()[0] / "tasks" / "b" / "out" / "result.txt"
    assert made.read_text("utf-8") == ("ynewi" if kind == "program" else "yj")
    path.write_text(before, "utf-8")
    assert plan(toy, module)["b"][0] == "run"
    assert "b" in again(toy, module)
    made = toy.runs()[1] / "tasks" / "b" / "out" / "result.txt"
    assert made.read_text("utf-8") == "yi"


def test_a_result_whose_input_changed_while_it_was_made_is_not_remembered(toy):
    toy.write("input.txt", "i")
    module = toy.pipeline("now", 't.add(work, source=t.file("input.txt"), seconds=1.0)')
    out = while_running(toy, module, lambda: toy.write("input.txt", "j"))
    assert "input changed: source while it ran: not reused later" in out
    toy.write("input.txt", "i")
    assert plan(toy, module)["work"][0] == "run"
    assert toy.cli("run-pipeline", "--resume", toy.runs()[0].name).returncode == 0
    assert toy.ran() == ["work"]  # nor is it taken for finished by its own run
    assert plan(toy, module)["work"][0] == "reuse"


def test_the_number_of_cores_belongs_to_the_key(toy):
    """Sums over another number of threads differ, and so do weights."""
    body = "t.add(work, resources=Resources(cpus=p.cpus))"
    module = toy.pipeline("cores", body, "cpus: int = 1\n")
    assert again(toy, module) == ["work"]
    assert again(toy, module) == []
    here = len(os.sched_getaffinity(0))
    if here == 1:
        pytest.skip("this machine has one core")
    assert plan(toy, module, "--set", "cpus=2")["work"] == (
        "run",
        "number of cores changed: 1 -> 2",
    )
    assert again(toy, module, "--set", "cpus=2") == ["work"]
    one_core = toy.python(
        """
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        from soundgate.cli import main
        main(["run-pipeline", "-n", "pipelines.cores", "--set", "cpus=2", "--dry-run"])
        """
    )
    assert "reuse" in one_core.stdout  # a machine of one core gives one, whatever is asked for
