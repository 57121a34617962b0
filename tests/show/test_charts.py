"""Charts show their numbers: points, bars, intervals and names are read back from what was drawn."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.container import ErrorbarContainer

from selfie_utils.show import chart, charts, charts_of_crops, charts_of_effects, charts_of_training

# Okabe and Ito's colours, as published.
BLUE, ORANGE, GREEN = (0, 114, 178), (230, 159, 0), (0, 158, 115)


def is_colour(colour, rgb):
    """Tell whether a colour, however matplotlib keeps it, is the one of these 0..255."""
    found = to_rgb(colour) if isinstance(colour, str) else np.ravel(colour)[:3]
    return np.allclose(found, np.array(rgb) / 255)


def named(axes):
    """What a legend of these axes names: artist by label."""
    handles, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def legend_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def dots(artist):
    """The points of a line, an error bar or a scatter: float (N, 2)."""
    line = artist[0] if isinstance(artist, ErrorbarContainer) else artist
    return np.asarray(line.get_offsets() if hasattr(line, "get_offsets") else line.get_xydata(), float)


def whiskers(bars, axis=0):
    """Both ends of the intervals of an error bar, along an axis: float (N, 2)."""
    (segments,) = bars[2]
    return np.array(segments.get_segments())[:, :, axis]


def segments(axes):
    """Both ends of horizontal lines and their height: float (N, 3)."""
    (lines,) = (c for c in axes.collections if hasattr(c, "get_segments"))
    return np.array([[a[0], b[0], a[1]] for a, b in lines.get_segments()])


def names_at(axis):
    """The name of each tick, by its place."""
    return dict(zip(axis.get_ticklocs().tolist(), (t.get_text() for t in axis.get_ticklabels()), strict=True))


def upright(axes):
    """Where the lines stand that run through from bottom to top."""
    ends = [(line.get_xdata(), line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 2]
    return [float(x[0]) for x, y in ends if list(y) == [0, 1] and x[0] == x[1]]


def level(axes):
    """Where the lines lie that run through from left to right."""
    ends = [(line.get_xdata(), line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 2]
    return [float(y[0]) for x, y in ends if list(x) == [0, 1] and y[0] == y[1]]


def panels_shown(figure):
    """The axes that are visible, colour bars left out."""
    return [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "<colorbar>"]


def test_axes_come_row_by_row_in_the_suites_style_and_leave_the_global_one_alone():
    before = dict(matplotlib.rcParams)
    figure, axes = chart.new_axes(6, 5, columns=3, rows=2)
    assert dict(matplotlib.rcParams) == before
    assert figure.get_size_inches().tolist() == [6, 5] and figure.dpi == 144
    places = [one.get_subplotspec() for one in axes]
    assert [(p.rowspan.start, p.colspan.start) for p in places] == [(r, c) for r in (0, 1) for c in (0, 1, 2)]
    assert is_colour(figure.get_facecolor(), (255, 255, 255))
    for one in axes:
        spines = {side: spine.get_visible() for side, spine in one.spines.items()}
        assert spines == {"left": True, "bottom": True, "top": False, "right": False}
        assert one.xaxis.get_gridlines()[0].get_visible() and one.get_axisbelow()


def test_the_funnel_has_a_bar_a_step_from_top_to_bottom_with_its_number():
    funnel = pd.Series({"all posts": 12_345, "with a face": 2_000, "labelled": 7})
    (axes,) = charts.funnel_bars(funnel).axes
    assert [bar.get_width() for bar in axes.patches] == [12_345, 2_000, 7]
    assert [bar.get_y() + bar.get_height() / 2 for bar in axes.patches] == pytest.approx([0, 1, 2])
    assert all(bar.get_x() == 0 and is_colour(bar.get_facecolor(), BLUE) for bar in axes.patches)
    assert [text.get_text() for text in axes.texts] == ["12,345", "2,000", "7"]
    assert np.allclose([text.xy for text in axes.texts], [(12_345, 0), (2_000, 1), (7, 2)])
    assert names_at(axes.yaxis) == {0: "all posts", 1: "with a face", 2: "labelled"}
    assert axes.yaxis_inverted() and axes.get_xlim() == pytest.approx((0, 12_345 * 1.12))
    assert axes.get_xlabel() == "posts" and axes.get_title() == "Posts left after each step"
    assert axes.xaxis.get_major_formatter()(10_000, 0) == "10,000"


def test_audience_and_likes_are_drawn_for_good_and_bad_apart():
    posts = pd.DataFrame(
        {
            "audience": [10.0, 20.0, 40.0, 990.0, 5.0],
            "likes": [0, 3, 7, 50, 2],
            "label": [0, 1, 0, 1, np.nan],  # one without a label counts as published, but is neither
        },
        index=[4, 9, 2, 7, 1],
    )
    left, right = charts.audience_and_likes(posts).axes
    heights = [bar.get_height() for bar in left.patches]
    edges = [bar.get_x() for bar in left.patches]
    end = left.patches[-1].get_x() + left.patches[-1].get_width()
    assert len(heights) == 39 and sum(heights) == 5
    assert [edges[0], end] == pytest.approx([5, 991])
    assert np.allclose(np.diff(np.log(edges)), np.log(991 / 5) / 39)  # equally wide where the axis is
    assert left.get_xscale() == "log" and left.get_xlabel().startswith("audience")
    assert (left.get_ylabel(), left.get_title()) == ("posts", "Audience")
    drawn = named(right)
    assert sorted(dots(drawn["good"]).tolist()) == [[20, 3.5], [990, 50.5]]
    assert sorted(dots(drawn["bad"]).tolist()) == [[10, 0.5], [40, 7.5]]
    assert is_colour(drawn["good"].get_facecolor(), BLUE) and is_colour(drawn["bad"].get_facecolor(), ORANGE)
    assert (right.get_xscale(), right.get_yscale()) == ("log", "log")
    assert (right.get_xlabel(), right.get_ylabel()) == ("audience", "likes (0 drawn as 0.5)")
    assert "median" in right.get_title() and set(legend_of(right)) == {"good", "bad"}


def test_audiences_of_nobody_fit_on_the_logarithmic_axis():
    posts = pd.DataFrame({"audience": [0.0, 100.0], "likes": [1, 2], "label": [0, 1]})
    left = charts.audience_and_likes(posts).axes[0]
    assert left.patches[0].get_x() == 1 and np.isfinite([bar.get_x() for bar in left.patches]).all()


def test_of_5001_good_posts_5000_are_drawn_the_same_every_time():
    count = 5001
    posts = pd.DataFrame({"audience": np.arange(1.0, count + 1), "likes": np.arange(count), "label": 1})
    posts = pd.concat([posts, posts.head(5000).assign(label=0)], ignore_index=True)
    first, again = (named(charts.audience_and_likes(posts).axes[1]) for _ in range(2))
    assert len(dots(first["good"])) == 5000 == len(np.unique(dots(first["good"]), axis=0))
    assert len(np.unique(dots(first["bad"]), axis=0)) == 5000
    assert (dots(first["good"]) == dots(again["good"])).all()
    assert (dots(first["good"])[:, 1] == dots(first["good"])[:, 0] - 0.5).all()  # likes stay with their post


# Shares with intervals that are longer on one side, first the one that is to stand on top.
COMPARISON = pd.DataFrame(
    {"share": [0.6, 0.5, 0.1], "low": [0.55, 0.2, 0.0], "high": [0.9, 0.6, 0.4], "base": [0.3, 0.45, 0.2]},
    index=["smiles", "glasses", "hat"],
)


def test_shares_stand_with_their_intervals_and_base_rates_the_first_on_top():
    (axes,) = charts.shares_against_base(COMPARISON, "the best 100", base="all of them").axes
    drawn = named(axes)
    assert legend_of(axes) == list(drawn) and set(drawn) == {"the best 100", "all of them"}
    assert names_at(axes.yaxis) == {0: "hat", 1: "glasses", 2: "smiles"}
    assert not axes.yaxis_inverted()
    chosen = drawn["the best 100"]
    assert np.allclose(dots(chosen), [[10, 0], [50, 1], [60, 2]])
    assert np.allclose(whiskers(chosen), [[0, 40], [20, 60], [55, 90]])
    assert np.allclose(dots(drawn["all of them"]), [[20, 0], [45, 1], [30, 2]])
    assert is_colour(drawn["all of them"].get_facecolor(), ORANGE)
    assert axes.get_xlim()[0] == -2 and axes.get_xlim()[1] >= 90
    assert axes.get_xlabel() == "share of posts (%), bars are 95% intervals"
    (usual,) = charts.shares_against_base(COMPARISON, "the best 100").axes
    assert "all test posts" in legend_of(usual)


def band_table(*shares):
    shares = np.array(shares)
    return pd.DataFrame(
        {"band": range(1, len(shares) + 1), "share": shares, "low": shares - 0.1, "high": shares + 0.05}
    )


def test_each_attribute_has_a_small_chart_from_best_to_worst():
    names = ["hat", "smiles", "glasses", "outdoors", "filter"]
    bands = {name: band_table(0.2 + i / 10, 0.3, 0.25 + i / 20) for i, name in enumerate(names)}
    overall = {name: 0.15 + i / 10 for i, name in enumerate(reversed(names))}
    figure = charts.shares_by_band(bands, overall)
    assert len(figure.axes) == 8  # two rows of four, three of which stay empty
    shown = panels_shown(figure)
    assert [axes.get_title() for axes in shown] == names
    for axes, (name, band) in zip(shown, bands.items(), strict=True):
        line, base = axes.lines
        assert np.allclose(dots(line), np.c_[[1, 2, 3], band["share"] * 100])
        assert np.allclose(base.get_ydata(), overall[name] * 100) and is_colour(line.get_color(), BLUE)
        (shade,) = axes.collections
        corners = {tuple(corner) for corner in shade.get_paths()[0].vertices.round(6).tolist()}
        wanted = [
            *zip([1, 2, 3], band["low"] * 100, strict=True),
            *zip([1, 2, 3], band["high"] * 100, strict=True),
        ]
        assert {(float(x), round(y, 6)) for x, y in wanted} <= corners
        assert names_at(axes.xaxis) == {1: "best", 3: "worst"} and axes.get_ylim()[0] == 0
    assert figure.get_supylabel() == "share of posts (%)"


def test_one_attribute_alone_needs_no_empty_charts():
    assert len(charts.shares_by_band({"hat": band_table(0.2, 0.3)}, {"hat": 0.2}).axes) == 1


def test_good_posts_by_band_have_bars_with_intervals_compared_with_chance():
    bands = band_table(0.7, 0.55, 0.4, 0.2)
    (axes,) = charts.good_by_band(bands).axes
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([70, 55, 40, 20])
    assert [bar.get_x() + bar.get_width() / 2 for bar in axes.patches] == pytest.approx([1, 2, 3, 4])
    (intervals,) = (c for c in axes.containers if isinstance(c, ErrorbarContainer))
    assert np.allclose(whiskers(intervals, axis=1), [[60, 75], [45, 60], [30, 45], [10, 25]])
    assert np.allclose(named(axes)["chance"].get_ydata(), 50) and legend_of(axes) == ["chance"]
    assert names_at(axes.xaxis) == {1: "best", 2: "band 2", 3: "band 3", 4: "worst"}
    assert axes.get_ylim() == (0, 100) and axes.get_ylabel() == "labelled good (%)"
    assert axes.get_title() == "Good posts along the ranking, 95% intervals"


def test_planted_effects_are_brought_to_the_scale_of_the_recovered():
    effects = pd.DataFrame(
        {"planted": [1.0, -2.0], "recovered": [0.8, -0.6], "low": [0.7, -0.7], "high": [1.1, -0.2]},
        index=["smiles", "filter"],
    )
    (axes,) = charts.planted_and_recovered(effects).axes
    # Least squares through the origin: (1 x 0.8 + 2 x 0.6) / (1 + 4) = 0.4.
    drawn = named(axes)
    assert legend_of(axes) == list(drawn) and set(drawn) == {
        "network, 95%",
        "planted, x 0.40 to fit the scores",
    }
    assert np.allclose(dots(drawn["planted, x 0.40 to fit the scores"]), [[-0.8, 0], [0.4, 1]])
    assert np.allclose(dots(drawn["network, 95%"]), [[-0.6, 0], [0.8, 1]])
    assert np.allclose(whiskers(drawn["network, 95%"]), [[-0.7, -0.2], [0.7, 1.1]])
    assert names_at(axes.yaxis) == {0: "filter", 1: "smiles"} and upright(axes) == [0]
    assert axes.get_xlabel() == "change of the score's log-odds"


def test_a_world_where_nothing_was_planted_can_be_drawn():
    effects = pd.DataFrame({"planted": [0.0], "recovered": [0.1], "low": [0.0], "high": [0.2]}, index=["hat"])
    (axes,) = charts.planted_and_recovered(effects).axes
    assert np.allclose(dots(named(axes)["planted, x 0.00 to fit the scores"]), [[0, 0]])


def test_a_few_scores_are_lines_over_the_histogram_of_everybody():
    scores = pd.Series(np.linspace(0.05, 0.9, 19), index=range(19, 0, -1))
    (axes,) = charts.scores_against_crowd(scores, scores / 2).axes
    (lines,) = axes.collections
    assert np.allclose([line[:, 0] for line in lines.get_segments()], np.c_[scores, scores] * 100)
    assert lines.get_label() == "these photos" and len(axes.containers) == 1  # no other histogram


def test_many_scores_are_ticks_and_an_outline_over_the_histogram_of_everybody():
    crowd = pd.Series([0.01, 0.02, 0.03, 0.30, 0.999])
    scores = pd.Series([0.05, 0.51, 0.52] * 7, index=range(20, -1, -1))
    (axes,) = charts.scores_against_crowd(scores, crowd).axes
    drawn = named(axes)
    assert set(legend_of(axes)) == {"test posts", "these photos", "middle of the test posts"}
    # Areas are 1: of five posts in bins 2.5 wide, each adds 0.08; of 21 in bins 10 wide, seven 1/30.
    crowded = {round(bar.get_x(), 6): bar.get_height() for bar in axes.containers[0]}
    assert len(crowded) == 40
    filled = {x: round(height, 6) for x, height in crowded.items() if height}
    assert filled == {0.0: 0.16, 2.5: 0.08, 30.0: 0.08, 97.5: 0.08}
    outline = drawn["these photos"].get_xy()
    for left, height in ((0, 1 / 30), (50, 2 / 30)):
        assert any(np.allclose(corner, (left, height)) for corner in outline)
        assert any(np.allclose(corner, (left + 10, height)) for corner in outline)
    (ticks,) = (line for line in axes.lines if line.get_marker() == "|")
    assert np.allclose(dots(ticks), [[5, 0], [51, 0], [52, 0]] * 7) and ticks.get_linestyle() == "None"
    assert np.allclose(drawn["middle of the test posts"].get_xdata(), 3)  # the median, not the mean of 27
    assert axes.get_xlim() == (0, 100)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("score (%)", "density")


def test_the_map_puts_a_dot_where_each_post_is_coloured_by_its_score():
    rng = np.random.default_rng(0)
    points, scores = rng.normal(size=(101, 2)), rng.permutation(101) / 100
    figure = charts.map_scatter(points, scores)
    axes, bar = figure.axes
    (drawn,) = axes.collections
    assert np.allclose(drawn.get_offsets(), points) and np.allclose(drawn.get_array(), scores * 100)
    assert drawn.get_clim() == pytest.approx((2, 98))  # of 0, 1, ..., 100 the middle 96%
    assert drawn.get_cmap().name == "cividis" and drawn.get_sizes().tolist() == [30]
    assert bar.get_ylabel() == "score (%)" and axes.get_aspect() == 1
    assert list(axes.get_xticks()) == [] == list(axes.get_yticks())
    assert axes.get_xlabel().startswith("t-SNE, first") and axes.get_ylabel().startswith("t-SNE, second")


@pytest.mark.parametrize("stretch", [(3, 1), (1, 1), (1, 1.2)])
def test_the_map_fills_its_figure_whatever_its_shape(stretch):
    points = np.random.default_rng(0).normal(size=(300, 2)) * stretch
    figure = charts.map_scatter(points, np.linspace(0, 1, 300))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    drawn = axes.transAxes.inverted().transform(axes.transData.transform(points))
    assert (np.ptp(drawn, axis=0) > 0.7).all()


@pytest.mark.parametrize(("posts", "area"), [(400, 30), (1000, 12), (30_000, 1)])
def test_dots_on_the_map_are_smaller_the_more_there_are(posts, area):
    (drawn,) = charts.map_scatter(np.zeros((posts, 2)), np.linspace(0, 1, posts)).axes[0].collections
    assert drawn.get_sizes().tolist() == [area]


def test_maps_of_shares_show_every_field_on_a_scale_of_its_own():
    shares = np.array([[0.0, 0.1, np.nan], [0.25, 0.4, 0.3]])
    titles = ["smiles", "hat", "glasses", "filter", "outdoors"]
    figure = charts.region_maps({title: shares / (i + 1) for i, title in enumerate(titles)})
    shown = panels_shown(figure)
    assert [axes.get_title() for axes in shown] == titles
    assert len([axes for axes in figure.axes if axes.get_label() == "<colorbar>"]) == 5
    assert len([axes for axes in figure.axes if not axes.get_visible()]) == 3
    for i, axes in enumerate(shown, 1):
        (picture,) = axes.images
        field = np.ma.filled(picture.get_array().astype(float), np.nan)
        assert np.allclose(field, shares * 100 / i, equal_nan=True)
        assert picture.get_clim() == pytest.approx((0, 40 / i))
        assert picture.get_interpolation() == "nearest"  # no shares where nobody is
        assert list(axes.get_xticks()) == [] == list(axes.get_yticks())


def test_neighbours_are_compared_with_shuffles_and_with_a_map_of_the_pixels():
    judged = pd.DataFrame(
        {"neighbours": [0.8, 0.4], "low": [0.3, 0.1], "high": [0.35, 0.2]}, index=["smiles", "hat"]
    )
    baseline = pd.DataFrame({"neighbours": [0.9, 0.5, 0.15]}, index=["of no interest", "smiles", "hat"])
    (axes,) = charts.neighbours_against_shuffles(judged, baseline).axes
    drawn = named(axes)
    assert names_at(axes.yaxis) == {0: "hat", 1: "smiles"}
    assert np.allclose(dots(drawn["on the map of fc7"]), [[40, 0], [80, 1]])
    assert np.allclose(dots(drawn["on a map of the pixels"]), [[15, 0], [50, 1]])
    assert np.allclose(segments(axes), [[10, 20, 0], [30, 35, 1]])
    assert legend_of(axes) == list(drawn) and "shuffled (middle 95%)" in drawn
    assert all(drawn[n].get_linestyle() == "None" for n in list(drawn) if n.startswith("on "))
    assert is_colour(drawn["on the map of fc7"].get_color(), BLUE)
    assert is_colour(drawn["on a map of the pixels"].get_color(), GREEN)
    assert axes.get_xlim()[0] == -2 and axes.get_xlabel() == "neighbours that share it (%)"


def test_training_curves_show_both_splits_and_chance():
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3], "train_loss": [0.7, 0.6, 0.4], "validation_loss": [0.69, 0.65, 0.66],
            "train_accuracy": [0.5, 0.7, 0.9], "validation_accuracy": [0.52, 0.61, 0.6],
        }
    )  # fmt: skip
    left, right = charts_of_training.training_curves(history).axes
    for axes, what, times in ((left, "loss", 1), (right, "accuracy", 100)):
        drawn = named(axes)
        assert set(drawn) == {"train", "validation", "chance"}
        for split in ("train", "validation"):
            assert np.allclose(dots(drawn[split]), np.c_[[1, 2, 3], history[f"{split}_{what}"] * times])
        assert axes.get_xticks().tolist() == [1, 2, 3] and axes.get_xlabel() == "epoch"
    assert np.allclose(named(left)["chance"].get_ydata(), 0.693147)  # a coin's cross-entropy, in nats
    assert np.allclose(named(right)["chance"].get_ydata(), 50)
    assert (left.get_ylabel(), right.get_ylabel()) == ("cross-entropy", "accuracy (%)")
    assert set(legend_of(right)) == {"train", "validation", "chance"}


def test_accuracies_have_their_number_and_interval_the_first_on_top():
    rows = [("network", 0.6134, 0.59, 0.65), ("the post", 0.6, np.nan, np.nan), ("logistic", 0.55, 0.5, 0.58)]
    (axes,) = charts.accuracies(rows).axes
    assert names_at(axes.yaxis) == {0: "network", 1: "the post", 2: "logistic"} and axes.yaxis_inverted()
    assert max(axes.get_ylim()) > 2 and min(axes.get_ylim()) < 0
    intervals = [dots(line) for line in axes.lines if line.get_marker() == "None"][:-1]
    points = [dots(line) for line in axes.lines if line.get_marker() == "o"]
    assert np.allclose(np.concatenate(points), [[61.34, 0], [60, 1], [55, 2]])
    wanted = [[[59, 0], [65, 0]], [[np.nan, 1], [np.nan, 1]], [[50, 2], [58, 2]]]
    assert np.allclose(intervals, wanted, equal_nan=True)
    assert [(text.get_text(), text.xy) for text in axes.texts] == [
        ("61.3%", pytest.approx((61.34, 0))), ("60.0%", (60, 1)), ("55.0%", pytest.approx((55, 2))),
    ]  # fmt: skip
    assert upright(axes) == [50] and axes.get_xlabel() == "accuracy (%), bars are 95% intervals"


def test_accuracy_by_group_names_how_many_posts_stand_behind_each():
    groups = pd.DataFrame(
        {"group": ["few followers", "many"], "posts": [1234, 30], "accuracy": [0.7, 0.5], "low": [0.66, 0.3],
         "high": [0.72, 0.75]},
        index=[5, 2],
    )  # fmt: skip
    (axes,) = charts_of_training.accuracy_by_group(groups, 0.61).axes
    assert names_at(axes.yaxis) == {0: "few followers (1,234 posts)", 1: "many (30 posts)"}
    (points,) = (line for line in axes.lines if line.get_marker() == "o")
    assert np.allclose(dots(points), [[70, 0], [50, 1]]) and points.get_linestyle() == "None"
    assert np.allclose(segments(axes), [[66, 72, 0], [30, 75, 1]])
    assert upright(axes) == pytest.approx([61]) and axes.yaxis_inverted()
    assert axes.get_xlabel() == "accuracy (%), bars are 95% intervals; dashed: all"


def test_roc_curves_start_with_the_network_and_run_as_worked_by_hand():
    labels = np.array([1, 0, 1, 0, 0])
    # From the highest score on: good, bad, good, bad, bad.
    scores = {"network": np.array([0.9, 0.8, 0.7, 0.2, 0.1]), "rival": np.array([0.1, 0.8, 0.7, 0.2, 0.3])}
    (axes,) = charts_of_training.roc_curves(labels, scores).axes
    drawn = named(axes)
    third = 100 / 3
    wanted = [[0, 0], [0, 50], [third, 50], [third, 100], [100, 100]]
    assert np.allclose(dots(drawn["network"]), wanted)
    # bad, good, bad, bad, good: all bad ones are above the second good one.
    assert np.allclose(dots(drawn["rival"]), [[0, 0], [third, 0], [third, 50], [100, 50], [100, 100]])
    assert np.allclose(dots(drawn["chance"]), [[0, 0], [100, 100]])
    assert is_colour(drawn["network"].get_color(), BLUE)
    assert is_colour(drawn["rival"].get_color(), ORANGE)
    assert set(legend_of(axes)) == {"network", "rival", "chance"} and axes.get_aspect() == 1
    assert axes.get_xlabel() == "bad posts called good (%)"
    assert axes.get_ylabel() == "good posts called good (%)"


def test_calibration_shows_shares_by_score_above_the_histogram_of_scores():
    bins = pd.DataFrame({"score": [0.25, 0.8], "share": [0.3, 0.6], "low": [0.2, 0.5], "high": [0.6, 0.65]})
    scores = np.array([0.01, 0.02, 0.02, 0.52, 0.53, 1.0])
    (axes,) = charts_of_training.calibration_curve(bins, scores).axes
    drawn = named(axes)
    assert np.allclose(dots(drawn["network"]), [[25, 30], [80, 60]])
    assert np.allclose(whiskers(drawn["network"], axis=1), [[20, 60], [50, 65]])
    assert np.allclose(dots(drawn["calibrated"]), [[0, 0], [100, 100]])
    bars = {bar.get_x(): bar.get_height() for bar in drawn["scores"] if bar.get_height()}
    assert bars == pytest.approx({0.0: 15, 50.0: 5, 52.5: 5, 97.5: 5})  # bins 2.5 wide, the fullest 15 high
    assert len(drawn["scores"]) == 40 and {bar.get_width() for bar in drawn["scores"]} == {2.5}
    assert axes.get_xlim() == axes.get_ylim() == (0, 100)
    assert set(legend_of(axes)) == {"network", "calibrated", "scores"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("score (%)", "labelled good (%)")


def test_agreement_has_a_readable_number_in_every_field_that_has_one():
    names = ["likes", "rate", "group"]
    kappas = pd.DataFrame([[1.0, 0.2, 0.5], [0.3, 1.0, np.nan], [0.51, -0.1, 1.0]], names, names)
    (axes,) = charts.agreement_matrix(kappas).axes
    (field,) = axes.images
    assert np.allclose(np.ma.filled(field.get_array(), np.nan), kappas, equal_nan=True)
    assert field.get_clim() == (0, 1)
    numbers = {text.get_position()[::-1]: (text.get_text(), text.get_color()) for text in axes.texts}
    dark, light = "white", "black"  # the colours run from dark blue to light yellow
    assert numbers == {
        (0, 0): ("1.00", light), (0, 1): ("0.20", dark), (0, 2): ("0.50", dark), (1, 0): ("0.30", dark),
        (1, 1): ("1.00", light), (2, 0): ("0.51", light), (2, 1): ("-0.10", dark), (2, 2): ("1.00", light),
    }  # fmt: skip
    assert names_at(axes.xaxis) == names_at(axes.yaxis) == dict(enumerate(names))


def test_right_labels_are_told_with_the_number_of_labelled_posts():
    table = pd.DataFrame(
        {"posts": [5120.0, 98.0], "share": [0.8, 0.75], "low": [0.78, 0.6], "high": [0.81, 0.85]},
        index=["groups of 100", "groups of 10"],
    )
    (axes,) = charts.right_by_choice(table).axes
    assert names_at(axes.yaxis) == {0: "groups of 100 (5,120)", 1: "groups of 10 (98)"}
    assert [text.get_text() for text in axes.texts] == ["80.0%", "75.0%"]
    intervals = [dots(line) for line in axes.lines if line.get_marker() == "None"][:-1]
    assert np.allclose(intervals, [[[78, 0], [81, 0]], [[60, 1], [85, 1]]])
    assert axes.get_xlabel() == "right labels (%), with 95% intervals; in brackets, labelled posts"


def test_the_learning_curve_runs_from_few_posts_to_many():
    compared = pd.DataFrame(
        {
            "posts": [2000.0, 500.0, 1000.0],
            "accuracy": [0.62, 0.55, 0.6], "accuracy_low": [0.6, 0.5, 0.59],
            "accuracy_high": [0.7, 0.56, 0.63],
            "auc": [0.68, 0.58, 0.63], "auc_low": [0.6, 0.57, 0.6], "auc_high": [0.7, 0.62, 0.64],
        }
    )  # fmt: skip
    left, right = charts_of_training.learning_curve(compared).axes
    for axes, wanted, ends, chance in (
        (left, [55, 60, 62], [[50, 56], [59, 63], [60, 70]], 50),
        (right, [0.58, 0.63, 0.68], [[0.57, 0.62], [0.6, 0.64], [0.6, 0.7]], 0.5),
    ):
        (bars,) = (c for c in axes.containers if isinstance(c, ErrorbarContainer))
        assert np.allclose(dots(bars), np.c_[[500, 1000, 2000], wanted])
        assert np.allclose(whiskers(bars, axis=1), ends)
        assert level(axes) == [chance]
        assert axes.get_xscale() == "log" and axes.get_xlabel() == "training posts"
        assert names_at(axes.xaxis) == {500: "500", 1000: "1,000", 2000: "2,000"}
    assert (left.get_ylabel(), right.get_ylabel()) == ("accuracy (%)", "area under the ROC curve")


def test_gaps_stand_left_or_right_of_no_change():
    compared = pd.DataFrame(
        {"gap": [-0.02, 0.01], "gap_low": [-0.05, -0.01], "gap_high": [-0.01, 0.015]},
        index=["from scratch", "longer"],
    )
    (axes,) = charts_of_training.gaps(compared).axes
    (points,) = (line for line in axes.lines if line.get_marker() == "o")
    assert np.allclose(dots(points), [[-0.02, 0], [0.01, 1]]) and points.get_linestyle() == "None"
    assert np.allclose(segments(axes), [[-0.05, -0.01, 0], [-0.01, 0.015, 1]])
    assert upright(axes) == [0] and axes.yaxis_inverted()
    assert names_at(axes.yaxis) == {0: "from scratch", 1: "longer"}
    assert axes.get_xlabel() == "change of the AUC, bars are 95% intervals"


RULES = pd.DataFrame(
    {
        "rule": ["Smile", "Smile", "Smile", "Group", "Hat", "Hat"],
        "section": ["Do"] * 3 + ["Don't"] + ["Readers asked"] * 2,
        "column": ["seen", "done", "re-rendered", "seen", "seen", "re-rendered"],
        "effect": [0.5, 0.2, 0.1, -0.7, 0.05, -0.02],
        "low": [0.3, 0.15, -0.1, -0.9, -0.1, -0.05], "high": [0.8, 0.25, 0.3, -0.6, 0.2, 0.04],
        "verdict": ["more", "more", "not clear", "less", "not clear", "no difference"],
    }
)  # fmt: skip


def test_a_forest_has_a_row_for_each_rule_and_a_mark_for_each_column():
    (axes,) = charts_of_effects.forest(
        RULES, 0.03, pd.Series({"Hat": 0.0, "Smile": 0.4, "Group": -1.0}), 0.5
    ).axes
    assert names_at(axes.yaxis) == {0: "Smile", 1: "Group", 2: "Hat"} and axes.yaxis_inverted()
    marks = {}
    for line in axes.lines:
        if line.get_marker() in ("o", "D", "^"):
            told = "white" not in str(line.get_markerfacecolor())
            marks |= {(x, round(y), told): line.get_marker() for x, y in line.get_xydata()}
    assert marks == {
        (0.5, 0, True): "o", (0.2, 0, True): "D", (0.1, 0, False): "^", (-0.7, 1, True): "o",
        (0.05, 2, False): "o", (-0.02, 2, False): "^",
    }  # fmt: skip
    ends = [s for c in axes.collections if hasattr(c, "get_segments") for s in c.get_segments()]
    assert sorted((a[0], b[0]) for a, b in ends) == sorted(zip(RULES["low"], RULES["high"], strict=True))
    (planted,) = (line for line in axes.lines if line.get_marker() == "|" and len(line.get_xdata()))
    assert np.allclose(planted.get_xydata(), [[0.2, 0], [-0.5, 1], [0, 2]])


def test_a_forest_shows_the_placebos_the_legend_and_the_sections():
    (axes,) = charts_of_effects.forest(RULES, 0.03).axes
    told = legend_of(axes)
    assert told == ["placebos (±0.03)", "seen", "done", "re-rendered"]
    assert not [line for line in axes.lines if line.get_marker() == "|"]
    (band,) = axes.patches
    assert band.get_x() == -0.03 and band.get_width() == pytest.approx(0.06)
    assert upright(axes) == [0]
    sections = {text.get_text(): text.xy[1] for text in axes.texts}
    assert sections == {"Do": -0.5, "Don't": 0.5, "Readers asked": 1.5}


def test_effects_by_dose_start_at_no_dose_and_share_one_scale():
    average = pd.DataFrame(
        {
            "edit": ["border", "light", "border", "light", "mirror"], "dose": [0.2, -1.0, 0.1, 1.0, 1.0],
            "unit": ["of the width", "stops", "of the width", "stops", ""],
            "effect": [0.8, -0.3, 0.5, 0.1, 9.0], "low": [0.6, -0.4, 0.4, 0.0, 8.0],
            "high": [1.0, -0.2, 0.6, 0.2, 10.0],
        }
    )  # fmt: skip
    border, light, *_ = charts_of_effects.dose_response(average, 0.05).axes
    for axes, title, unit, curve in (
        (border, "border", "of the width", [[0, 0], [0.1, 0.5], [0.2, 0.8]]),
        (light, "light", "stops", [[-1, -0.3], [0, 0], [1, 0.1]]),
    ):
        assert (axes.get_title(), axes.get_xlabel()) == (title, unit)
        (line,) = (one for one in axes.lines if len(one.get_xdata()) == 3)
        assert np.allclose(line.get_xydata(), curve)
    assert border.get_ylim() == light.get_ylim() and border.get_ylim()[1] < 2  # the mirror has no doses
    (bars,) = (c for c in border.containers if isinstance(c, ErrorbarContainer))
    assert np.allclose(whiskers(bars, axis=1), [[0.4, 0.6], [0.6, 1.0]])


@pytest.mark.parametrize(
    ("doses", "told"),
    [
        ([0.02, 0.05, 0.1, 0.2], ["", "0.05", "0.1", "0.2"]),  # the first two would overlap
        ([-1, -0.5, 0.5], ["-1", "-0.5", "0.5"]),
        ([0.1, 0.2], ["0.1", "0.2"]),
        ([1.0, 1.01], ["", "1.01"]),
    ],
)
def test_doses_that_would_overlap_are_told_once(doses, told):
    frame = pd.DataFrame({"edit": "border", "dose": doses, "unit": "", "effect": 0.1, "low": 0, "high": 0.2})
    axes = charts_of_effects.dose_response(frame, 0.05).axes[0]
    assert axes.get_xticks().tolist() == doses
    assert [label.get_text() for label in axes.get_xticklabels()] == told


def test_following_curves_are_mean_scores_with_the_last_order_dashed():
    index = pd.MultiIndex.from_product(
        [["deletion", "insertion"], ["map", "random"], [0, 1]], names=["kind", "order", "photo"]
    )
    values = np.arange(24).reshape(8, 3) / 100
    figure = charts_of_effects.following_curves(pd.DataFrame(values, index, columns=[0.0, 0.5, 1.0]))
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("deletion", "insertion")
    lines = named(left)
    assert list(lines) == ["map", "random"]
    assert np.allclose(dots(lines["map"]), [[0, 1.5], [50, 2.5], [100, 3.5]])  # of 0 to 2 and 3 to 5
    assert np.allclose(dots(named(right)["random"]), [[0, 19.5], [50, 20.5], [100, 21.5]])
    assert lines["random"].get_linestyle() == "--" and is_colour(lines["random"].get_color(), ORANGE)
    assert lines["map"].get_linestyle() == "-" and legend_of(left) == ["map", "random"]


def test_hits_stand_beside_the_area_of_their_target():
    index = pd.MultiIndex.from_tuples([("border", "Grad-CAM"), ("face", "Grad-CAM")])
    table = {"share": [0.9, 0.1], "low": [0.6, 0.0], "high": [1.0, 0.3], "base": [0.25, 0.2]}
    (axes,) = charts_of_effects.hits_and_areas(pd.DataFrame(table, index)).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["face (Grad-CAM)", "border (Grad-CAM)"]
    drawn = named(axes)
    assert np.allclose(dots(drawn["maps that point at it"]), [[10, 0], [90, 1]])
    assert np.allclose(dots(drawn["its share of the photo"]), [[20, 0], [25, 1]])
    assert "posts" not in axes.get_xlabel()


def test_regret_has_a_line_a_search_and_dotted_limits():
    summary = pd.DataFrame({"method": ["a", "a", "b"], "evaluations": [25, 50, 90]})
    for name, values in {"median": [3.0, 1, 2], "worst": [9.0, 5, 7]}.items():
        summary[name] = values
        summary[f"{name}_low"], summary[f"{name}_high"] = summary[name] - 1, summary[name] + 1
    median, worst = charts_of_crops.regret_by_evaluations(summary, wanted=(0.5, 2)).axes
    assert dots(named(median)["a"]).tolist() == [[25, 3], [50, 1]] and dots(named(median)["b"]).tolist() == [
        [90, 2]
    ]
    assert dots(named(worst)["a"]).tolist() == [[25, 9], [50, 5]]
    for axes, limit in ((median, 0.5), (worst, 2)):
        assert any(line.get_linestyle() == ":" and set(line.get_ydata()) == {limit} for line in axes.lines)
        assert [text.get_text() for text in axes.get_xticklabels()] == ["25", "50"]


def test_gradients_at_one_number_of_evaluations_can_be_told_apart():
    names = [f"gradient, {n} parameters{b}, 2 starts" for n in (6, 3) for b in ("", ", blurred first")]
    table = {"method": ["a", "a", *names], "evaluations": [25, 50, 25, 25, 25, 25]}
    for name in ("median", "worst"):
        table |= {name + end: np.arange(6.0) for end in ("", "_low", "_high")}
    median, _ = charts_of_crops.regret_by_evaluations(pd.DataFrame(table)).axes
    looks = {
        (line.get_color(), str(line.get_markerfacecolor())) for n, line in named(median).items() if n in names
    }
    assert len(looks) == 4


def test_the_landscape_has_the_best_crop_and_every_path_from_dot_to_cross():
    scores = np.zeros((3, 5, 5))
    scores[2, 3, 1] = 0.8  # largest, at three quarters to the right and a quarter down
    ways = np.array([[[0.5, 0.5, 0.5], [0.5, 0.75, 0.5]]])
    places, sizes, onward, _ = charts_of_crops.crop_landscape(scores, ways, np.array([[0.1, 0.0, 0.8]])).axes
    assert places.images[0].get_array()[1, 3] == 80 and sizes.images[0].get_array()[2, 3] == 80
    stars = {tuple(line.get_xydata()[0]) for line in places.lines if line.get_marker() == "*"}
    assert stars == {(0.75, 0.25)}
    assert any(line.get_xydata().tolist() == [[0.5, 0.5], [0.75, 0.5]] for line in places.lines)
    (star,) = [line for line in sizes.lines if line.get_marker() == "*"]
    assert star.get_xydata().tolist() == [[0.75, 1]]
    assert onward.lines[0].get_ydata().tolist() == [10, 0, 80]


def test_where_the_best_crop_is_the_whole_square_places_are_shown_at_the_next_size():
    scores = np.zeros((3, 5, 5))
    scores[1, 2, 4], scores[2] = 0.4, 0.8  # the largest square has one place, and so one score
    places, *_ = charts_of_crops.crop_landscape(scores, np.full((1, 2, 3), 0.5), np.zeros((1, 2))).axes
    assert places.images[0].get_array().max() == places.images[0].get_array()[4, 2] == 40
    assert places.get_title() == "places, at the next smaller size"
    assert not [line for line in places.lines if line.get_marker() == "*"]  # the best crop has another size


def test_before_and_after_and_losses_show_their_numbers_by_way():
    ways, row = ["whole photo", "best crop"], {"low": 1, "high": 3}
    table = pd.DataFrame([{"measure": m, "way": w, "mean": 2.0, **row} for m in "abcd" for w in ways])
    figure = charts_of_crops.before_and_after(table)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == list("abcd")
    assert [text.get_text() for text in shown[3].get_yticklabels()] == ways
    assert [line.get_xydata().tolist() for line in shown[0].lines[:2]] == [[[1, 0], [3, 0]], [[2, 0]]]
    lost = pd.DataFrame([{"group": g, "way": w, "share": s, "low": s / 2, "high": 2 * s, "known": 7}
                         for g, w, s in (("all", "best crop", 0.4), ("all", "any crop", 0.2))])  # fmt: skip
    (axes,) = charts_of_crops.losses(lost, "crops that lose the face").axes
    assert [dots(line)[0, 0] for line in named(axes).values()] == [40, 20] and legend_of(axes) == [
        "best crop",
        "any crop",
    ]
    assert axes.get_yticklabels()[0].get_text() == "all (7)"


def test_gaps_in_points_stand_around_no_change():
    table = pd.DataFrame({"mean": [2.0, -1], "low": [1.0, -3], "high": [3.0, 1]}, index=["a", "b"])
    (axes,) = charts_of_crops.gaps_in_points(table).axes
    assert dots(axes.lines[0]).tolist() == [[2, 0], [-1, 1]] and set(axes.lines[1].get_xdata()) == {0}
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]


def test_on_a_narrow_screen_a_chart_has_all_panels_in_few_columns_and_nothing_is_cut_off():
    bands = {f"attribute {i} of a long name": band_table(0.2, 0.3) for i in range(5)}
    wide = charts.shares_by_band(bands, dict.fromkeys(bands, 0.2))
    narrow = wide.draw_narrow()
    assert (wide.get_figwidth(), narrow.get_figwidth()) == (pytest.approx(10.4), 5)
    grids = {axes.get_subplotspec().get_gridspec().get_geometry() for axes in narrow.axes}
    assert sum(axes.get_visible() for axes in narrow.axes) == 5 and grids == {(3, 2)}
    for figure in (narrow, charts.shares_against_base(COMPARISON, "the best 100").draw_narrow()):
        figure.draw_without_rendering()
        drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert -0.01 <= drawn.x0 < drawn.x1 <= width + 0.01 and -0.01 <= drawn.y0 < drawn.y1 <= height + 0.01


def test_drawing_for_a_narrow_screen_changes_nothing_for_the_next_chart():
    first = charts.good_by_band(band_table(0.2, 0.3))
    first.draw_narrow()
    again = charts.good_by_band(band_table(0.2, 0.3))
    assert again.get_size_inches().tolist() == first.get_size_inches().tolist() == [7, 3.6]
