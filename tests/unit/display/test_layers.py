"""Boxes in layers: whatever the graph, no two touch, arrows go down, and the same graph is drawn the same."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from kedge.display.layers import Laid, Size, lay_out


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Size], list[tuple[int, int]]]:
    sizes = draw(st.lists(st.tuples(st.floats(20, 400), st.floats(20, 200)), min_size=1, max_size=30))
    pairs = [(a, b) for a in range(len(sizes)) for b in range(a + 1, len(sizes))]
    arrows = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=60)) if pairs else []
    return sizes, arrows


def apart(laid: Laid, sizes: list[Size]) -> bool:
    boxes = [(x, y, x + width, y + height) for (x, y), (width, height) in zip(laid.places, sizes, strict=True)]
    return all(
        one[2] <= other[0] + 0.01 or other[2] <= one[0] + 0.01 or one[3] <= other[1] + 0.01 or other[3] <= one[1] + 0.01
        for one, other in combinations(boxes, 2)
    )


@given(graphs())
def test_no_two_boxes_touch_and_all_are_within_the_drawing(graph: tuple[list[Size], list[tuple[int, int]]]) -> None:
    sizes, arrows = graph
    laid = lay_out(sizes, arrows)
    assert apart(laid, sizes)
    for (x, y), (width, height) in zip(laid.places, sizes, strict=True):
        assert x >= -0.01
        assert y >= -0.01
        assert x + width <= laid.width + 0.01
        assert y + height <= laid.height + 0.01


@given(graphs())
def test_arrows_go_down_from_box_to_box(graph: tuple[list[Size], list[tuple[int, int]]]) -> None:
    sizes, arrows = graph
    laid = lay_out(sizes, arrows)
    for (start, end), route in zip(arrows, laid.routes, strict=True):
        assert laid.places[start][1] + sizes[start][1] <= laid.places[end][1]
        heights = [y for _, y in route]
        assert heights == sorted(heights)
    ends = {(round(route[-1][0], 3), round(route[-1][1], 3)) for route in laid.routes}
    for end in {end for _, end in arrows}:
        x, y = laid.places[end]
        assert (round(x + sizes[end][0] / 2, 3), round(y, 3)) in ends


@given(graphs())
def test_the_same_graph_is_drawn_the_same(graph: tuple[list[Size], list[tuple[int, int]]]) -> None:
    assert lay_out(*graph) == lay_out(*graph)


def test_what_closes_a_circle_is_drawn_all_the_same() -> None:
    assert len(lay_out([(10, 10)] * 3, [(0, 1), (1, 2), (2, 1)]).places) == 3


def test_a_chain_is_a_straight_line() -> None:
    laid = lay_out([(50, 10), (100, 10), (80, 10)], [(0, 1), (1, 2)])
    assert {x + width / 2 for (x, _), width in zip(laid.places, (50, 100, 80), strict=True)} == {50}


def test_many_that_wait_for_one_stand_in_rows() -> None:
    laid = lay_out([(100, 40)] * 101, [(0, each) for each in range(1, 101)])
    assert laid.width < 4000
    assert apart(laid, [(100, 40)] * 101)
