import argparse
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchard.form import Wishes
from orchard.plan import Plan, reason, request_json, safe_run_id, step_options
from spark_jobs.reduce_embeddings import add_options, read_options
from tests.plans import PLAN, plan, settings

run_ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=250) | st.from_regex(
    r"[A-Za-z0-9_.~:+-]{1,250}", fullmatch=True
)


@pytest.mark.parametrize(
    ("dag_run_id", "run_id"),
    [
        ("r1", "r1"),
        ("backfill_2026.03-01", "backfill_2026.03-01"),
        ("manual__2026-03-01T09:30:00+00:00", "manual__2026-03-01T09-30-00-00-00-2326f98099"),
        ("manual__2026-03-01T09:30:00-00:00", "manual__2026-03-01T09-30-00-00-00-bb0bacbb57"),
        ("../../lake", "lake-78cf8a42c2"),
        ("~", "run-7ace431cb6"),
        ("a" * 250, "a" * 200 + "-3f3e35e0a7"),
    ],
)
def test_run_ids(dag_run_id: str, run_id: str) -> None:
    assert safe_run_id(dag_run_id) == run_id


@given(run_ids)
@example("-")
@example("...")
@example("-x")
@example("x\n")
def test_a_run_id_is_safe_wherever_it_stands(dag_run_id: str) -> None:
    """In S3's keys and Iceberg's partitions, as a value on a command line, and in EMR's names of 256 characters."""
    run_id = safe_run_id(dag_run_id)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,219}", run_id)
    parser = argparse.ArgumentParser()
    parser.add_argument("--run-id")
    assert parser.parse_args(["--run-id", run_id]).run_id == run_id


@given(run_ids, run_ids)
@example("a b", "a-b")
@example("a:b", "a+b")
@example("a" * 250, "a" * 249)
def test_other_runs_have_other_names(one: str, other: str) -> None:
    assert (safe_run_id(one) == safe_run_id(other)) == (one == other)


@given(run_ids)
@example("a b")
def test_nor_can_a_run_take_the_safe_name_of_another(dag_run_id: str) -> None:
    run_id = safe_run_id(dag_run_id)
    assert run_id == dag_run_id or safe_run_id(run_id) != run_id


def test_through_xcom_and_back() -> None:
    for one in (PLAN, plan(examples=("s3://b/1.jpg", "s3://b/2.jpg"))):
        assert Plan.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_what_a_person_reads() -> None:
    assert plan(left=500).describe() == (
        "Run scheduled__2026-03-01T00-00-00-00-00-9e5f6a7b8c, extractor mobilenet_v2-f32-0123456789ab\n"
        "  photos   22,688 listed: 1,200 new, 3 changed, 2 deleted; 500 left for a later run\n"
        "  why      photos were added, changed or deleted\n"
        "  cluster  1 primary and 2 core m5.xlarge (8 vCPUs, 50 photos a second each)\n"
        "  expected 8 minutes, $0.10"
    )
    other = {"relabelled": 9_000, "label_rule": "parent/2", "unlabelled": 1, "examples": ("s3://bucket/photos/1.jpg",)}
    assert plan(left=500, **other).describe().splitlines()[1:3] == [
        "  photos   22,688 listed: 1,200 new, 3 changed, 2 deleted, 9,000 relabelled by the rule parent/2; "
        "500 left for a later run",
        "  no label 1 by the rule parent/2, such as s3://bucket/photos/1.jpg",
    ]
    requests = {"LIST": 10_199, "HEAD": 0}
    for dollars, said in ((0.050995, "$0.0510"), (None, "price unknown")):
        assert plan(requests=requests, request_dollars=dollars, find_seconds=361.4).describe().splitlines()[2] == (
            f"  S3       10,199 LIST requests in 361 s to find them, {said}"
        )
    assert plan(maintain=True).describe().splitlines()[-1] == "  the tables are maintained, too"
    assert plan(plan_only=True, dollars=None).describe().splitlines()[4:] == [
        "  expected 8 minutes, price unknown",
        "  plan only: no cluster is rented, nothing is written",
    ]
    assert plan(why=None, added=0, changed=0, deleted=0).describe() == (
        "Run scheduled__2026-03-01T00-00-00-00-00-9e5f6a7b8c, extractor mobilenet_v2-f32-0123456789ab\n"
        "  photos   22,688 listed: 0 new, 0 changed, 0 deleted\n"
        "  nothing to do: no cluster is rented"
    )


def test_go() -> None:
    assert PLAN.go
    assert not plan(plan_only=True).go
    assert not plan(why=None).go
    assert PLAN.changes == 1205
    assert plan(relabelled=5).changes == 1210


@pytest.mark.parametrize(
    ("of_settings", "of_run", "options"),
    [
        ({}, {}, {"refit": "auto"}),
        ({"components": 50}, {}, {"refit": "auto", "components": 50}),
        ({"variance": 0.9}, {"refit": "always"}, {"refit": "always", "variance": 0.9}),
        ({"components": 50}, {"variance": 0.9}, {"refit": "auto", "variance": 0.9}),
        ({"variance": 0.9}, {"components": 50}, {"refit": "auto", "components": 50}),
        ({"standardize": True}, {}, {"refit": "auto", "standardize": True}),
        ({"standardize": True}, {"standardize": False}, {"refit": "auto"}),
        ({}, {"standardize": True, "components": 1}, {"refit": "auto", "components": 1, "standardize": True}),
        ({"shrinkage": 0.0}, {}, {"refit": "auto", "shrinkage": 0.0}),
    ],
)
def test_a_runs_wishes_come_before_the_settings(
    of_settings: dict[str, Any], of_run: dict[str, Any], options: dict[str, Any]
) -> None:
    assert step_options(settings(**of_settings), Wishes(**of_run)) == options


shares = st.floats(0, 1, exclude_min=True)
sizes = st.one_of(
    st.just({}),
    st.builds(lambda n: {"components": n}, st.integers(1, 2048)),
    st.builds(lambda v: {"variance": v}, shares),
)


@given(sizes, st.booleans(), st.sampled_from(["auto", "always", "never"]), st.none() | st.floats(0, 1))
@example({"variance": 1}, False, "auto", None)
@example({"variance": 5e-324}, False, "auto", 1)
def test_options_are_written_as_step_2_writes_them(
    size: Mapping[str, Any], standardize: bool, refit: str, shrinkage: float | None
) -> None:
    """The contract of the two planes: `runs` is compared with what a new run would ask for."""
    # As Airflow's form and the job's command line take them.
    wishes = Wishes.read(json.loads(json.dumps({**size, "standardize": standardize, "refit": refit})))
    options = step_options(settings(shrinkage=shrinkage), wishes)
    parser = argparse.ArgumentParser()
    add_options(parser)
    arguments = [part for key, value in options.items() for part in ([f"--{key}"] + [str(value)] * (value is not True))]
    assert request_json(options) == read_options(parser.parse_args(arguments)).to_json()


def test_options_in_letters() -> None:
    assert request_json({"refit": "auto"}) == (
        '{"request": {"components": null, "standardize": false, "variance": 0.95}, "shrinkage": null}'
    )


SAME = {"options": request_json({"refit": "auto"})}


@pytest.mark.parametrize(
    ("changes", "relabelled", "behind", "wishes", "newest", "why"),
    [
        (0, 0, [], {}, None, None),
        (0, 0, [], {}, SAME, None),
        (3, 0, [], {}, None, "photos were added, changed or deleted"),
        (3, 0, ["r1"], {"refit": "always"}, SAME, "photos were added, changed or deleted"),
        (3, 3, [], {}, SAME, "photos were added, changed or deleted"),
        (0, 3, ["r1"], {}, SAME, "photos have another label"),
        (0, 0, ["r1", "r2"], {}, SAME, "the embeddings of r1, r2 are not folded in yet"),
        (0, 0, [], {"refit": "always"}, SAME, "a new basis is asked for"),
        (0, 0, [], {"refit": "always"}, None, None),  # of an empty lake nothing can be fitted
        (0, 0, [], {"refit": "never"}, SAME, None),
        (0, 0, [], {"components": 20}, SAME, "another basis is asked for"),
        (0, 0, [], {"standardize": True}, SAME, "another basis is asked for"),
        (0, 0, [], {"variance": 0.95, "standardize": False}, SAME, None),  # the one that there is
        (0, 0, [], {"components": 20}, None, None),
        (0, 0, [], {"maintain": True}, SAME, "table maintenance is asked for"),
        (0, 0, [], {"maintain": True}, None, None),
        (0, 0, [], {"core_nodes": 20, "limit": 5}, SAME, None),
    ],
)
def test_why_a_cluster_is_rented(
    changes: int,
    relabelled: int,
    behind: list[str],
    wishes: dict[str, Any],
    newest: dict[str, Any] | None,
    why: str | None,
) -> None:
    wished = Wishes(**wishes)
    assert reason(changes, relabelled, behind, wished, step_options(settings(), wished), newest) == why
