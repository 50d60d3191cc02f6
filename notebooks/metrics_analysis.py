# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Metrics of detectors
#
# Reads `metrics.csv` and `metrics_per_tape.csv`, which the step `compare` and
# `soundgate evaluate-benchmark` write: a row a model, window and threshold. Open this file with
# `jupyter lab notebooks/metrics_analysis.ipynb`, or run it as a script:
#
# ```
# python notebooks/metrics_analysis.py REPORT FIGURES
# ```

# %%
"""Leaderboard, curves over thresholds, second stage, qualities, boundaries and tapes."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import pandas as pd

IS_SCRIPT = "ipykernel" not in sys.modules
FOLDER = Path(sys.argv[1]) if IS_SCRIPT and len(sys.argv) > 1 else Path()
FIGURES = Path(sys.argv[2]) if IS_SCRIPT and len(sys.argv) > 2 else None
if IS_SCRIPT:
    mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402  # the backend has to be chosen first


# %%
def show(name: str) -> None:
    """Keep a figure as a PNG where a folder was given; a notebook shows it by itself."""
    if FIGURES is not None:
        FIGURES.mkdir(parents=True, exist_ok=True)
        plt.savefig(FIGURES / f"{name}.png", dpi=120, bbox_inches="tight")
    if IS_SCRIPT:
        plt.close("all")
    else:
        plt.show()


def table(title: str, rows: pd.DataFrame | pd.Series) -> None:
    """Print a table with a heading."""
    print(f"\n{title}\n{rows.to_string()}")


# %% [markdown]
# ## Tags
# `len400_hop050_th90` is a window of 400 ms every 50 ms at the threshold 0.90; `th995` is 0.995.

# %%
metrics = pd.read_csv(FOLDER / "metrics.csv")
tags = metrics["variant"].str.extract(r"len(?P<seq_ms>\d+)_hop(?P<hop_ms>\d+)_th(?P<digits>\d+)")
metrics["seq_len_s"] = tags["seq_ms"].astype(float) / 1000
metrics["hop_s"] = tags["hop_ms"].astype(float) / 1000
metrics["threshold"] = [1.0 if d == "100" else float(f"0.{d}") for d in tags["digits"]]
metrics["window"] = metrics["variant"].str.replace(r"_th.*", "", regex=True)
metrics["setting"] = metrics["model"] + " " + metrics["window"]
table("Rows of each layer", metrics["layer"].value_counts())

# %% [markdown]
# ## Leaderboard
# The benchmark's figures. Which model is chosen is decided on validation tapes: see the column
# `chosen`, whose threshold was taken there.

# %%
COLUMNS = ["model", "variant", "layer", "f1", "precision", "recall", "n_gt", "n_pred"]
more = [name for name in ("f1_low", "f1_high", "collar_f1", "chosen") if name in metrics]
leaderboard = metrics.sort_values("f1", ascending=False, na_position="last")
table("Leaderboard", leaderboard[COLUMNS + more].head(20))

# %% [markdown]
# ## Over thresholds

# %%
network = metrics[metrics["layer"] == "evaluation"].sort_values("threshold")
figure, axes = plt.subplots(1, 3, figsize=(15, 4), sharey=True)
for axis, column in zip(axes, ("recall", "precision", "f1"), strict=True):
    for setting, rows in network.groupby("setting"):
        axis.plot(rows["threshold"], rows[column], marker="o", label=setting)
    axis.set(title=column, xlabel="threshold", ylim=(0, 1.02))
axes[0].legend(fontsize="small")
show("over_thresholds")

# %% [markdown]
# ## The random forest behind the network
# Arrows go from the network's detections to those that the forest kept.

# %%
KEYS = ["model", "variant"]
layers = metrics.pivot_table(
    index=KEYS, columns="layer", values=["precision", "recall", "f1", "n_pred"]
)
if {"evaluation", "postrf"} <= set(metrics["layer"]):
    both = layers.dropna()
    gain = {
        name: both[name]["postrf"] - both[name]["evaluation"]
        for name in ("precision", "recall", "f1")
    }
    table("Change by the forest", pd.DataFrame(gain))
    figure, axis = plt.subplots(figsize=(6, 5))
    for (model, variant), row in both.iterrows():
        start = row["recall"]["evaluation"], row["precision"]["evaluation"]
        end = row["recall"]["postrf"], row["precision"]["postrf"]
        axis.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "->"})
        axis.text(*start, f"{model} {variant}", fontsize="x-small")
    axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    show("forest_arrows")
    kept = 1 - both["n_pred"]["postrf"] / both["n_pred"]["evaluation"].where(lambda n: n > 0)
    kept.plot.barh(title="Share of detections that the forest takes away", figsize=(8, 4))
    show("forest_reduction")
else:
    print("\nThere are no rows of a random forest (layer postrf).")

# %% [markdown]
# ## By quality

# %%
QUALITIES = sorted(name for name in metrics if name.startswith("recall_q"))
best = network.loc[network.groupby("setting")["f1"].idxmax().dropna()].set_index("setting")
table("Recall by quality, each setting at its best threshold", best[["variant", *QUALITIES]])
best[QUALITIES].plot.bar(figsize=(9, 4), ylim=(0, 1.02), title="Recall by quality")
show("by_quality")

# %% [markdown]
# ## Boundaries of hits

# %%
errors = network.melt(
    id_vars="setting", value_vars=["mean_dstart_ms", "mean_dend_ms"], value_name="ms"
).dropna()
if len(errors):
    errors.boxplot(column="ms", by=["setting", "variable"], rot=60, figsize=(9, 4))
    plt.suptitle("")
    plt.title("Mean distance of starts and ends, ms")
    show("boundaries")

# %% [markdown]
# ## By tape

# %%
per_tape = pd.read_csv(FOLDER / "metrics_per_tape.csv")
per_tape = per_tape[per_tape["layer"] == "evaluation"]
grid = per_tape.pivot_table(index="tape", columns=["model", "variant"], values="f1")
if grid.size:
    figure, axis = plt.subplots(figsize=(1 + 0.6 * grid.shape[1], 1 + 0.35 * grid.shape[0]))
    image = axis.imshow(grid.to_numpy(), vmin=0, vmax=1, aspect="auto", cmap="viridis")
    axis.set_xticks(range(grid.shape[1]), [" ".join(key) for key in grid.columns], rotation=90)
    axis.set_yticks(range(grid.shape[0]), grid.index)
    figure.colorbar(image, label="F1")
    show("tapes")
    table("F1 of each tape, the worst first", grid.mean(axis=1).sort_values().rename("mean F1"))
