"""What each call asks of IAM, against the Service Authorization Reference."""

from local.emr.asks import Ask, Place, of_call, of_creation

PLACE = Place("eu-west-1", "000000000000")
CLUSTER = "arn:aws:elasticmapreduce:eu-west-1:000000000000:cluster"


def test_a_cluster_with_tags_and_roles() -> None:
    tags = [{"Key": "orchard:Lake", "Value": "s3://a/lake"}, {"Key": "empty"}]
    request = {"ServiceRole": "service", "Tags": tags, "AutoTerminationPolicy": {"IdleTimeout": 60}}
    keys = {
        "aws:requesttag/orchard:lake": "s3://a/lake",
        "aws:requesttag/empty": "",
        "elasticmapreduce:requesttag/orchard:lake": "s3://a/lake",
        "elasticmapreduce:requesttag/empty": "",
        "aws:tagkeys": ["orchard:Lake", "empty"],
    }
    assert list(of_creation(request, PLACE, "arn:aws:iam::000000000000:role/nodes")) == [
        Ask("elasticmapreduce:RunJobFlow", f"{CLUSTER}/*", keys),
        Ask("elasticmapreduce:AddTags", f"{CLUSTER}/*", keys),
        Ask("elasticmapreduce:PutAutoTerminationPolicy", f"{CLUSTER}/*"),
        Ask(
            "iam:PassRole",
            "arn:aws:iam::000000000000:role/service",
            {"iam:passedtoservice": "elasticmapreduce.amazonaws.com"},
        ),
        Ask("iam:PassRole", "arn:aws:iam::000000000000:role/nodes", {"iam:passedtoservice": "ec2.amazonaws.com"}),
    ]


def test_a_cluster_without_tags_needs_no_leave_to_tag() -> None:
    request = {"ServiceRole": "arn:aws:iam::000000000000:role/path/service"}
    assert list(of_creation(request, PLACE, "")) == [
        Ask("elasticmapreduce:RunJobFlow", f"{CLUSTER}/*", {}),
        Ask(
            "iam:PassRole",
            "arn:aws:iam::000000000000:role/path/service",
            {"iam:passedtoservice": "elasticmapreduce.amazonaws.com"},
        ),
    ]


def test_several_clusters_each_with_its_own_tags() -> None:
    tags = {"j-1": {"orchard:environment": "local"}, "j-2": {}}
    assert list(of_call("TerminateJobFlows", {"JobFlowIds": ["j-1", "j-2", "j-3", "j-1"]}, PLACE, tags)) == [
        Ask(
            "elasticmapreduce:TerminateJobFlows",
            f"{CLUSTER}/j-1",
            {
                "aws:resourcetag/orchard:environment": "local",
                "elasticmapreduce:resourcetag/orchard:environment": "local",
            },
        ),
        Ask("elasticmapreduce:TerminateJobFlows", f"{CLUSTER}/j-2", {}),
        Ask("elasticmapreduce:TerminateJobFlows", f"{CLUSTER}/j-3", {}),
    ]


def test_tags_that_are_removed() -> None:
    request = {"ResourceId": "j-1", "TagKeys": ["orchard:keep"]}
    (ask,) = of_call("RemoveTags", request, PLACE, {"j-1": {"a": "b"}})
    assert ask == Ask(
        "elasticmapreduce:RemoveTags",
        f"{CLUSTER}/j-1",
        {"aws:tagkeys": ["orchard:keep"], "aws:resourcetag/a": "b", "elasticmapreduce:resourcetag/a": "b"},
    )


def test_a_step_with_a_role_of_its_own() -> None:
    request = {"JobFlowId": "j-1", "ExecutionRoleArn": "arn:aws:iam::000000000000:role/step"}
    (ask,) = of_call("AddJobFlowSteps", request, PLACE, {})
    assert ask.keys == {"elasticmapreduce:executionrolearn": "arn:aws:iam::000000000000:role/step"}


def test_a_call_about_no_cluster() -> None:
    assert list(of_call("ListClusters", {"ClusterStates": ["RUNNING"]}, PLACE, {})) == [
        Ask("elasticmapreduce:ListClusters", "*", {})
    ]
