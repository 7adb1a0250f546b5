from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchard.cluster.sizing import size
from orchard.commands.costs.candidates import DEFAULT, candidates
from orchard.commands.costs.replay import again, by_dollars, replay
from orchard.instances import INSTANCES
from orchard.lake.history import History, Past, read_history
from orchard.prices import price_list
from orchard.settings import SettingsError
from tests.orchard.past_lake import past_lake
from tests.plans import settings

HOUR = 0.214 + 0.048 + 84 * 0.088 / 730  # of an m5.xlarge in eu-west-1


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    found = read_history(past_lake(Path(tmp_path_factory.mktemp("lake"))), "orchard")
    assert found is not None
    return found


def test_the_type_in_use(history: History) -> None:
    """What was measured is replayed as it was, to the second; the smallest run embeds at the others' speed."""
    one, *_ = candidates(settings(), history, ["m5.xlarge"], None)
    assert (one.in_use, one.speed.source, one.market) == (True, "measured", "on demand")
    done = replay(one, history.runs)
    assert [found.seconds for found in done.sizes] == [600.25, 460.0, 485.0, 1050.0]
    assert [found.core_nodes for found in done.sizes] == [1, 1, 1, 1]
    assert done.total.dollars == pytest.approx(2 * HOUR * 2595.25 / 3600)


def test_another_type_is_taken_to_be_as_fast(history: History) -> None:
    found = {one.market: one for one in candidates(settings(), history, ["m5.2xlarge"], None)}
    assert {one.speed.source for one in found.values()} == {"assumed: as on m5.xlarge"}
    assert not any(one.in_use for one in found.values())
    done = replay(found["on demand"], history.runs)
    assert [one.seconds for one in done.sizes] == [600.125, 455.0, 482.5, 750.0]
    assert [one.rate for one in done.sizes] == [100.0] * 4


def test_a_target_that_wants_more_nodes(history: History) -> None:
    """Of the first day's 240,000 photos, 400 a second a node, in 450 s: two nodes, of which one may be spot."""
    on_demand, spot = candidates(settings(target_minutes=15), history, ["m5.xlarge"], None)
    assert [one.core_nodes for one in replay(on_demand, history.runs).sizes] == [1, 1, 1, 2]
    assert replay(on_demand, history.runs).sizes[-1].seconds == 450 + 300
    done = replay(spot, history.runs)
    assert done.total.missing == {"EC2's spot price of m5.xlarge"}
    assert [cost.dollars is None for cost in done.costs] == [False, False, False, True]
    assert [one.core_nodes for one in replay(on_demand, history.runs, core_nodes=3).sizes] == [3, 3, 3, 3]


def test_the_cheapest_comes_first_and_unknown_prices_last(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    def order(**changes: object) -> list[tuple[str, str]]:
        found = candidates(
            settings(target_minutes=15, **changes), history, ["m6g.xlarge", "m5.2xlarge", "m5.xlarge"], None
        )
        done = by_dollars(replay(one, history.runs) for one in found)
        return [(one.candidate.instance_type, one.candidate.market) for one in done]

    unknown = [("m6g.xlarge", "spot"), ("m6g.xlarge", "on demand"), ("m5.xlarge", "spot")]
    assert order() == [
        ("m5.xlarge", "on demand"), ("m5.2xlarge", "on demand"), ("m5.2xlarge", "spot"), *unknown,
    ]  # fmt: skip
    told = {"spot": {"m5.xlarge": 0.08, "m6g.xlarge": 0.05}, "spot_as_of": "2026-11-01"}
    known = replace(price_list.price_list()["eu-west-1"], **told)
    known = replace(known, emr={**known.emr, "m6g.xlarge": 0.04})
    monkeypatch.setattr(price_list, "price_list", lambda: {"eu-west-1": known})
    assert order()[:3] == [("m6g.xlarge", "spot"), ("m6g.xlarge", "on demand"), ("m5.xlarge", "spot")]


def test_candidates_where_none_is_named(history: History) -> None:
    """Those of the list that have a price, x86 and Graviton, and the type in use before them."""
    found = [one.instance_type for one in candidates(settings(), history, None, None) if one.market == "spot"]
    assert found == ["m5.xlarge", "m5.2xlarge", "m6g.xlarge"]
    rare = replace(history, runs=(replace(history.runs[0], instance_type="r5.xlarge"), *history.runs[1:]))
    found = [one.instance_type for one in candidates(settings(region="eu-north-1"), rare, None, None)]
    assert found[::2] == ["r5.xlarge", "m5.xlarge", "m5.2xlarge", "m6g.xlarge"]
    assert set(DEFAULT) <= INSTANCES.keys()


def test_the_market_in_use(history: History) -> None:
    marked = [one.market for one in candidates(settings(spot=True), history, ["m5.xlarge"], None) if one.in_use]
    assert marked == ["spot"]


def test_types_that_cannot_be(history: History) -> None:
    with pytest.raises(SettingsError, match="expected any of 96 names"):
        list(candidates(settings(), history, ["m5.huge"], None))
    with pytest.raises(SettingsError, match="wants 1,500"):
        list(candidates(settings(engine="tensorflow"), history, ["c6g.xlarge"], None))
    in_use = replace(history, runs=(replace(history.runs[0], instance_type="c6g.xlarge"),))
    found = {one.instance_type for one in candidates(settings(engine="tensorflow"), in_use, None, None)}
    assert found == {"m5.xlarge", "m5.2xlarge", "m6g.xlarge"}


def test_how_fast_a_type_is_taken_to_be(history: History) -> None:
    local = tuple(replace(run, instance_type=None) for run in history.runs)
    slow = tuple(replace(run, instance_type="m7g.xlarge", rate=run.rate and 80.0) for run in history.runs[:2])
    told = {
        "given": (history, 70.0),
        "both": (History("e", slow + history.runs[2:]), None),
        "local": (History("e", local), None),
        "none": (History("e", (replace(history.runs[0], rate=None),)), None),
    }
    speeds = {
        name: [next(candidates(settings(), past, [kind], rate)).speed for kind in ("m7g.xlarge", "m6g.xlarge")]
        for name, (past, rate) in told.items()
    }
    assert {name: [(one.rates, one.source) for one in both] for name, both in speeds.items()} == {
        "given": [([70.0], "as given"), ([70.0], "as given")],
        "both": [([80.0], "measured"), ([80.0, 100.0, 100.0], "assumed: as on m5.xlarge and m7g.xlarge")],
        "local": [([100.0] * 3, "assumed: as on a machine of its own")] * 2,
        "none": [([], "assumed: the setting rate, 50")] * 2,
    }


runs = st.builds(
    Past,
    day=st.just(date(2026, 3, 1)),
    photos=st.integers(0, 10**7),
    grown=st.just(0),
    listed=st.none(),
    rate=st.floats(1, 500),
    instance_type=st.sampled_from(sorted(INSTANCES)),
    core_nodes=st.integers(1, 20),
    seconds=st.none(),
    beside=st.floats(0, 10_000) | st.none(),
    maintained=st.just(0.0),
    dollars=st.none(),
)


@given(runs)
def test_a_run_on_its_own_type_nodes_and_rate_takes_as_long_as_it_did(run: Past) -> None:
    """And where its cluster's life is not known, as long as its plan would say."""
    assert run.instance_type and run.core_nodes and run.rate
    here = settings(instance_type=run.instance_type)
    found = again(here, run, [run.rate], run.core_nodes)
    embedding = run.photos / (run.rate * run.core_nodes * INSTANCES[run.instance_type].vcpus)
    if run.beside is None:
        assert found == size(here, run.photos, [run.rate], run.core_nodes)
    else:
        assert found.seconds == pytest.approx(run.beside + embedding)
