"""A password that a user hands over is found nowhere afterwards, yet the run has it."""

from __future__ import annotations

import pytest

SECRET = "hunter22hunter22"
ADDRESS = f"https://anna:{SECRET}@mlflow.lab/ml"


def leaks(toy, *outputs):
    """Where the secret stands: in what was printed, or in a file below the folder of runs."""
    found = [text for text in outputs if SECRET in text]
    files = (path for path in toy.folder.rglob("runs/**/*") if path.is_file())
    return found + [str(path) for path in files if SECRET.encode() in path.read_bytes()]


@pytest.fixture
def module(toy):
    """A step that says what it was told, and one that fails with it."""
    toy.write(
        "steps/tell.py",
        """
        from soundgate.errors import DataError
        from soundgate.step import OutputPath, main


        def tell(out: OutputPath, *, address: str, fail: bool = False) -> None:
            print(f"asked {address}")
            (out / "length.txt").write_text(str(len(address)))
            if fail:
                raise DataError(f"{address}: does not answer")


        if __name__ == "__main__":
            main(tell)
        """,
    )
    return toy.pipeline(
        "told",
        """
        from steps.tell import tell
        t.add(tell, address=p.address, fail=p.fail)
        """,
        'address: str = ""\nfail: bool = False\n',
    )


@pytest.mark.parametrize("words", [(), ("--output", "json"), ("--dry-run",)])
def test_is_used_and_neither_printed_nor_stored(toy, module, words):
    done = toy.run(module, "--set", f"address={ADDRESS}", *words)
    assert done.returncode == 0, done.stderr
    assert leaks(toy, done.stdout, done.stderr) == []
    if "--dry-run" in words:
        assert "https://***@mlflow.lab/ml" in done.stdout
    else:
        made = toy.runs()[0] / "tasks" / "tell" / "out" / "length.txt"
        assert made.read_text() == str(len(ADDRESS))
        assert "asked https://***@mlflow.lab/ml" in (made.parents[1] / "log.txt").read_text()
        shown = toy.cli("show-run", "last"), toy.cli("show-logs", "last", "tell")
        assert leaks(toy, *(each.stdout + each.stderr for each in shown)) == []


def test_is_not_in_the_reason_of_a_failure(toy, module):
    done = toy.run(module, "--set", f"address={ADDRESS}", "--set", "fail=true")
    assert done.returncode == 1
    assert "https://***@mlflow.lab/ml: does not answer" in done.stdout
    assert leaks(toy, done.stdout, done.stderr) == []


def test_is_known_to_a_run_in_the_background(toy, module):
    done = toy.run(module, "--set", f"address={ADDRESS}", "--no-wait")
    assert done.returncode == 0, done.stderr
    for _ in range(200):
        if toy.record()["state"] != "running" and toy.record()["state"] != "pending":
            break
        toy.cli("show-run", "last")
    assert toy.record()["state"] == "succeeded"
    assert leaks(toy, done.stdout) == []


def test_a_run_cannot_be_resumed_without_it_and_says_what_to_do(toy, module):
    assert toy.run(module, "--set", f"address={ADDRESS}", "--set", "fail=true").returncode == 1
    done = toy.cli("run-pipeline", "--resume", "last")
    assert done.returncode == 2
    assert (
        "address held a password or token, which is not recorded: call run-pipeline" in done.stderr
    )


def test_a_mistake_that_quotes_it_is_masked(toy, module):
    done = toy.run(module, "--set", f"fail={ADDRESS}")
    assert done.returncode == 2
    assert leaks(toy, done.stdout, done.stderr) == []
