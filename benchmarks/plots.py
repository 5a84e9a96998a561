"""Plots of what was measured, as SVG beside ``results.md``: the same figures make the same file, byte for byte."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

PLOTS = Path(__file__).with_name("plots")

type Series = Mapping[str, Sequence[tuple[float, float]]]

# Text stays text, and IDs don't change from run to run.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"})


def lines(
    name: str,
    title: str,
    series: Series,
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    aim: float | None = None,
) -> str:
    """Draw lines, each through its points.

    Args:
        name: The file's name, without its ending.
        title: What it shows.
        series: Points (x, y) by the name of their line.
        x_label: What x is, with its unit.
        y_label: What y is, with its unit.
        log_x: Whether x is drawn in powers of ten.
        log_y: Whether y is.
        aim: A value of y that is aimed at, drawn as a dashed line.

    Returns:
        The plot as Markdown, to be put into ``results.md``.
    """
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.add_subplot()
    for label, points in series.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=label)
    if aim is not None:
        axes.axhline(aim, color="grey", linestyle="--", label=f"aim: {aim:g}")
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    return _saved(figure, name, title)


def bars(name: str, title: str, values: Mapping[str, float], *, y_label: str, log_y: bool = False) -> str:
    """Draw one bar a value, with the value above it; returns the plot as Markdown, as ``lines`` does."""
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.bar(list(values), list(values.values()))
    axes.bar_label(drawn, fmt="{:,.3g}")
    axes.set(title=title, ylabel=y_label)
    if log_y:
        axes.set_yscale("log")
        # From the power of ten below the least: bars that begin near its top would say that it is next to nothing.
        least, most = min(values.values()), max(values.values())
        axes.set_ylim(10.0 ** (math.ceil(math.log10(least)) - 1), 2 * most)
    axes.tick_params(axis="x", rotation=15)
    return _saved(figure, name, title)


def _saved(figure: Figure, name: str, title: str) -> str:
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / f"{name}.svg", metadata={"Date": None})
    return f"![{title}](plots/{name}.svg)"
