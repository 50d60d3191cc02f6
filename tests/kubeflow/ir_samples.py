"""Small pipelines, compiled by kfp itself; every container is a line of shell."""

import warnings
from collections.abc import Callable
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its dependencies announce what will go
    from kfp import dsl, kubernetes

import yaml
from google.protobuf import json_format

IMAGE = "registry.example/image@sha256:0"


def shell(script: str, *words: Any) -> dsl.ContainerSpec:
    """Return a container that runs a script; its words are ``$0``, ``$1``, ..."""
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-euc"], args=[script, *words])


@dsl.container_component
def write(text: str, made: dsl.Output[dsl.Dataset]):
    """Write a file into a folder."""
    return shell('mkdir -p "$1/deep"; printf %s "$0" > "$1/deep/text.txt"', text, made.path)


@dsl.container_component
def read(made: dsl.Input[dsl.Dataset], text: dsl.OutputPath(str)):
    """Print what the file says, and pass it on."""
    return shell('cat "$0/deep/text.txt" | tee "$1"', made.path, text)


@dsl.container_component
def say(word: str):
    """Print a word."""
    return shell('printf "%s\\n" "$0"', word)


@dsl.container_component
def count(number: int, counted: dsl.OutputPath(int)):
    """Return a number."""
    return shell('printf %s "$0" | tee "$1"', number, counted)


@dsl.container_component
def fail(code: int):
    """Fail, and say why where Kubernetes looks."""
    script = 'echo trying; echo "no such sound" > "${REASON:-/dev/null}"; exit "$0"'
    return shell(script, code)


@dsl.container_component
def script(text: str):
    """Run any script."""
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", text])


@dsl.container_component
def typed(  # noqa: PLR0917 - one of each type
    text: str,
    number: int,
    rate: float,
    flag: bool,
    words: list,
    table: dict,
    words_out: dsl.OutputPath(list),
    table_out: dsl.OutputPath(dict),
    rate_out: dsl.OutputPath(float),
    flag_out: dsl.OutputPath(bool),
):
    """Print a value of each type; pass four of them on."""
    put = 'printf "%s" "$4" > "$6"; printf "%s" "$5" > "$7"; printf "%s" "$2" > "$8"'
    show = 'for word in "$0" "$1" "$2" "$3" "$4" "$5"; do printf "<%s>\\n" "$word"; done; '
    values = (text, number, rate, flag, words, table)
    return shell(
        show + put + '; printf "%s" "$3" > "$9"',
        *(*values, words_out, table_out, rate_out, flag_out),
    )


def compiled(function: Callable[..., Any], **pipeline: Any) -> str:
    """Compile a pipeline's function; return the YAML documents."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = dsl.pipeline(**{"name": function.__name__.replace("_", "-"), **pipeline})(function)
    documents = [json_format.MessageToDict(graph.pipeline_spec)]
    platform = json_format.MessageToDict(graph.platform_spec)
    return yaml.safe_dump_all(documents + ([platform] if platform else []), allow_unicode=True)


def shell_task(text: str, *, cache: bool = False) -> Any:
    """Add a task that runs a line of shell."""
    return script(text=text).set_caching_options(cache)


def lines(task: Any) -> list[str]:
    """Return what a task of a run printed."""
    return task.log_text().splitlines()


__all__ = ["compiled", "dsl", "kubernetes", "lines", "shell", "shell_task"]
