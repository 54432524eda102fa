"""How the workbook's pictures look: one style, one palette that colour-blind readers can tell apart, one pipeline drawing."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import MaxNLocator

INK, PAPER, QUIET, ACCENT = "#1b2733", "#ffffff", "#dfe6ec", "#ffd166"

# Okabe and Ito's palette. What a colour means, a hatch or a marker says too.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
EVENT_STYLE = {"INSERT": {"color": BLUE, "hatch": ""}, "MODIFY": {"color": ORANGE, "hatch": "//"},
               "REMOVE": {"color": RED, "hatch": "xx"}}

# The hops, in order: the chapter that builds each, its name, and what it holds.
HOPS = [("01", "order source", "orders"), ("01", "DynamoDB", "table"), ("02", "DynamoDB Streams", "change events"),
        ("04", "EventBridge", "pipe"), ("03", "Kinesis", "stream, shards"), ("05", "Firehose", "+ Lambda"),
        ("05", "S3", "lake"), ("06", "Glue", "crawler"), ("07", "Athena", "SQL"), ("07", "pandas", "charts")]


def use_style() -> None:
    """Set matplotlib up as all charts of the workbook are drawn."""
    plt.rcParams.update({
        "figure.figsize": (8.5, 3.6), "figure.dpi": 96, "savefig.bbox": "tight", "figure.constrained_layout.use": True,
        "font.size": 11, "axes.titlesize": 12.5, "axes.titleweight": "bold", "axes.titlelocation": "left",
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y", "grid.color": QUIET,
        "axes.axisbelow": True, "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK, "hatch.color": PAPER,
        "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, RED, PURPLE, SKY]),
    })


def draw_pipeline(chapter: str = "00") -> plt.Figure:
    """The pipeline as one row of boxes; the hops that `chapter` ("05") builds are marked, the finished ones are dark."""
    figure, axes = plt.subplots(figsize=(13, 1.75), dpi=110, layout="constrained")
    for place, (built_in, name, holds) in enumerate(HOPS):
        here, done = built_in == chapter, built_in < chapter
        box = FancyBboxPatch((place * 1.3, 0), 1.0, 1.0, boxstyle="round,pad=0.02,rounding_size=0.12",
                             facecolor=ACCENT if here else INK if done else PAPER, edgecolor=INK, linewidth=3 if here else 1.3)
        axes.add_patch(box)
        colour = PAPER if done else INK
        axes.text(place * 1.3 + 0.5, 0.6, name.replace(" ", "\n"), ha="center", va="center", fontsize=10, color=colour,
                  weight="bold", linespacing=0.95)
        axes.text(place * 1.3 + 0.5, 0.2, holds, ha="center", va="center", fontsize=8.5, color=colour)
        axes.text(place * 1.3 + 0.5, 1.2, "▼ this chapter" if here else f"ch. {built_in}", ha="center", fontsize=8.5, color=INK,
                  weight="bold" if here else "normal")
        if place:
            axes.add_patch(FancyArrowPatch((place * 1.3 - 0.27, 0.5), (place * 1.3 - 0.03, 0.5), arrowstyle="-|>",
                                           mutation_scale=14, color=INK, linewidth=1.6))
    axes.set(xlim=(-0.1, 13 - 0.2), ylim=(-0.1, 1.45))
    axes.axis("off")
    return figure


def save_pipelines(folder: Path) -> None:
    """Write one picture a chapter, `pipeline-NN.png`; in that of chapter 00 nothing is marked."""
    folder.mkdir(exist_ok=True)
    for chapter in ("00", *sorted({hop[0] for hop in HOPS}), "08", "09"):
        figure = draw_pipeline(chapter)
        figure.savefig(folder / f"pipeline-{chapter}.png", bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)


def stack_events(axes: plt.Axes, counts: pd.DataFrame, horizontal: bool = False, **bar) -> None:
    """Bars of `counts`, one a row, its columns INSERT, MODIFY and REMOVE stacked in the colours and hatches of EVENT_STYLE.

    bar  how each is drawn: matplotlib's width or height, align
    """
    for kind, begin in (counts.cumsum(axis="columns") - counts).items():
        draw, place = (axes.barh, "left") if horizontal else (axes.bar, "bottom")
        draw(counts.index, counts[kind], **{place: begin}, label=kind, **EVENT_STYLE[kind], **bar)


def waterfall(axes: plt.Axes, steps: pd.Series, total: str) -> None:
    """Bars from one running sum to the next, and at the end the sum as a bar called `total`. What goes down is hatched."""
    values = [*steps, steps.sum()]
    starts = [0, *steps.cumsum().iloc[:-1], 0]
    kinds = ["total", *("up" if value >= 0 else "down" for value in values[1:-1]), "total"]
    drawn = axes.bar([*steps.index, total], values, bottom=starts, width=0.65, hatch=["xx" if kind == "down" else "" for kind in kinds],
                     color=[{"total": BLUE, "up": GREEN, "down": RED}[kind] for kind in kinds])
    axes.bar_label(drawn, [f"{value:,.0f}" if kind == "total" else f"{value:+,.0f}" for value, kind in zip(values, kinds)], padding=3)
    axes.set_ylim(0, 1.15 * max([1, *starts, *(start + value for start, value in zip(starts, values))]))


def thousands(axis, ticks: int = 5) -> None:
    """Write the numbers of an axis (axes.xaxis, axes.yaxis) as whole ones like 10,000, few enough to stand side by side."""
    axis.set_major_locator(MaxNLocator(ticks, integer=True))
    axis.set_major_formatter("{x:,.0f}")


def sideways(*all_axes: plt.Axes) -> None:
    """Make axes fit for horizontal bars: the grid's lines and the numbers along x."""
    for axes in all_axes:
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x")
        thousands(axes.xaxis, ticks=4)
