"""That Airflow and the steps really act with their policies: without them a run is red, and says so."""

import pytest

from tests.e2e.house import House, LakeUnderTest, labels, sample

pytestmark = pytest.mark.long


def test_without_their_policies_nothing_goes(house: House, lake: LakeUnderTest) -> None:
    """Policies for another lake stop Airflow before anything; a node without its policy cannot even fetch its code."""
    lake.put(sample(labels(1)[0], 0, 1))
    principals = house.stack.principals
    principals.permit("another", "another")
    refused = lake.run("permissions-airflow", plan_only=True)
    assert refused.state == "failed"
    assert refused.states["find_new_photos"] == "failed"
    assert "An error occurred (403) when calling the HeadBucket operation: Forbidden" in refused.log("find_new_photos")
    assert lake.clusters() == []

    principals.permit(lake.bucket, lake.database)
    lake.configure(log_seconds=0)  # the node cannot write any
    house.aws("iam").delete_role_policy(RoleName="orchard-demo-emr-node", PolicyName="orchard")
    refused = lake.run("permissions-node")
    assert refused.state == "failed"
    assert refused.states | {"extract": "failed", "reduce": "upstream_failed"} == refused.states
    assert "could not be fetched" in refused.log("extract")
    assert "(403)" in refused.log("extract")
    (cluster,) = lake.clusters()
    assert cluster["Status"]["State"].startswith("TERMINAT")
