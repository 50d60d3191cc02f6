"""The commands that search embeddings, and train on what people say of the results."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

AUDIO = "soundgate.audio"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""


def search_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``search-audio``."""
    parser.add_argument("embeddings", type=Path, help="folder of embeddings that is searched")
    parser.add_argument("target", type=Path, help="folder to write found.csv and found.html into")
    parser.add_argument("--sound", type=Path, help="an audio file: what sounds like it")
    parser.add_argument("--start", type=float, default=0.0, help="where it begins, seconds (0)")
    parser.add_argument("--end", type=float, help="where it ends, seconds (default: its end)")
    parser.add_argument("--text", default="", help="a sentence: what sounds as it says")
    parser.add_argument("--record", default="", help="id of a segment among the embeddings")
    parser.add_argument("--most", type=int, default=20, help="how many are wanted (20)")
    parser.add_argument(
        "--every-segment", action="store_true", help="a recording may be found more than once"
    )
    parser.add_argument(
        "--encoder", type=Path, help="weights of the encoder that made the embeddings"
    )
    parser.add_argument(
        "--text-tower", type=Path, help="folder of its text tower's config and tokens"
    )
    parser.add_argument("--clips", type=Path, help="folder of the audio: writes the page to hear")
    parser.add_argument(
        "--index",
        type=Path,
        help="folder of an index, made where it is not there; for millions of embeddings",
    )


def search_audio(args: argparse.Namespace) -> int:
    """Find the recordings nearest to a sound or a sentence; write them as a table and a page."""
    searching = importlib.import_module(f"{AUDIO}.embedding.search.searching")
    asking = importlib.import_module(f"{AUDIO}.embedding.search.asking")
    question = asking.Question(
        sound=args.sound,
        start_s=args.start,
        end_s=args.end,
        sentence=args.text,
        record_id=args.record,
    )
    how = searching.How(
        most=args.most,
        every_segment=args.every_segment,
        weights=args.encoder,
        tokens=args.text_tower,
        index=args.index,
        threads=os.cpu_count() or 1,
    )
    rows = searching.search(args.embeddings, question, args.target, how)
    if args.clips:
        page = importlib.import_module(f"{AUDIO}.review.found.page")
        path = args.target / page.PAGE
        heard = page.write_page(path, question.words, rows, args.clips)
        print(f"{path}: {heard} of {len(rows)} segments to hear and to label")
    return 0


def label_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``train-on-labels``."""
    parser.add_argument("embeddings", type=Path, help="folder of embeddings that was searched")
    parser.add_argument(
        "tables", type=Path, nargs="+", help="tables with the columns record_id and label"
    )
    parser.add_argument("model", type=Path, help="the model folder to write")


def train_on_labels(args: argparse.Namespace) -> int:
    """Train a classifier on labels that were written into results of search-audio."""
    labels = importlib.import_module(f"{AUDIO}.classification.heads.labels")
    learnt = labels.train(args.embeddings, args.tables, args.model)
    print(
        f"{args.model}: {len(learnt.classes)} classes of {learnt.segments} segments; "
        f"{learnt.accuracy:.1%} right while their recordings were left out"
    )
    return 0
