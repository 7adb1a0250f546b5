"""The laws of infra/orchard.yaml that no linter knows. What its policies permit is tried in test_permissions."""

import json
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from infra.document import data_part
from infra.template import PATH, Resolver, for_region, load, policy
from orchard.cluster import request as cluster
from orchard.dag import metrics
from orchard.settings import EU_REGIONS

TEMPLATE = load()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
KEY = "arn:aws:kms:eu-west-1:000000000000:key/12345678-1234-1234-1234-123456789012"
# All that can be switched on; and what AWS would choose.
EVERYTHING = {
    "Environment": "prod",
    "PhotosBucket": "fruits-photos",
    "PhotosPrefix": "2026/",
    "PhotosKeyArn": KEY,
    "AirflowPrincipalArn": "arn:aws:iam::000000000000:role/airflow",
    "InTransitCertificates": "s3://fruits-certificates/prod.zip",
    "AlarmMail": "someone@example.com",
    "WithMoreEndpoints": "true",
    "WithSessionManager": "true",
    "WithStudio": "true",
    "WithNotebook": "true",
    "WithEvents": "true",
    "Studio.Arn": "arn:aws:elasticmapreduce:eu-west-1:000000000000:studio/es-1",
}
# Actions whose API knows no resources (Service Authorization Reference), and why they are wanted.
WITHOUT_RESOURCES = {
    "elasticmapreduce:ListClusters": "whether a run has its cluster already",
    "elasticmapreduce:DescribeReleaseLabel": "doctor: the release is there",
    "elasticmapreduce:ListSupportedInstanceTypes": "doctor: the release runs on the instance type",
    "elasticmapreduce:DescribeSecurityConfiguration": "doctor: it is there",
    "elasticmapreduce:ListEditors": "a person's workspaces in Studio",
    "elasticmapreduce:ListStudios": "a person's way to Studio",
    "pricing:GetProducts": "the price list",
    "servicequotas:GetServiceQuota": "doctor: enough vCPUs",
    "servicequotas:GetAWSDefaultServiceQuota": "doctor: the same, of an account that never asked for more",
    "ec2:DescribeInstances": "Studio: nodes of a cluster",
    "ec2:DescribeInstanceTypeOfferings": "doctor: the zones have the instance type",
    "ec2:DescribeNetworkInterfaces": "Studio: its own",
    "ec2:DescribeRegions": "doctor: the region is switched on",
    "ec2:DescribeRouteTables": "doctor: the subnets reach S3",
    "ec2:DescribeSecurityGroups": "doctor, Studio: they are there",
    "ec2:DescribeSpotPriceHistory": "the price list",
    "ec2:DescribeSubnets": "doctor, Studio: they are there, and tagged",
    "ec2:DescribeTags": "Studio: whether EMR may use a thing",
    "ec2:DescribeVpcEndpoints": "doctor: the subnets reach S3 and Glue",
    "ec2:DescribeVpcs": "doctor, Studio: where the subnets are",
    "ssmmessages:CreateControlChannel": "Session Manager",
    "ssmmessages:CreateDataChannel": "Session Manager",
    "ssmmessages:OpenControlChannel": "Session Manager",
    "ssmmessages:OpenDataChannel": "Session Manager",
}
WILDCARDS = {
    ("Key", "Account"): "KMS' default: it leaves everything to the IAM policies of the account",
    ("BucketPolicy", "TlsOnly"): "it denies",
    ("EventsQueuePolicy", "TlsOnly"): "it denies",
}
# Whose right these would be: the person's who deploys.
NEVER = (
    r"s3:(DeleteObjectVersion|DeleteBucket|PutBucket.*|PutLifecycle.*|PutEncryption.*|PutObjectVersion.*|BypassGov.*)",
    r"iam:(?!PassRole$|CreateServiceLinkedRole$|GetRole$|GetInstanceProfile$|SimulatePrincipalPolicy$).*",
    r"kms:(ScheduleKeyDeletion|DisableKey|PutKeyPolicy|Delete.*|Update.*)",
    r"glue:(Delete.*|UpdateDatabase|PutResourcePolicy)",
)


def documents(parameters: dict[str, str] = EVERYTHING) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each policy of the template: name, document."""
    for name, resource in RESOURCES.items():
        properties = resource["Properties"]
        if "PolicyDocument" in properties or "KeyPolicy" in properties:
            yield name, policy(name, parameters)
        for inline in properties.get("Policies", ()):
            yield f"{name}.{inline['PolicyName']}", policy(f"{name}.{inline['PolicyName']}", parameters)


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each statement, with its actions and resources as lists."""
    for name, document in documents():
        assert document["Version"] == "2012-10-17"  # an older one takes ${aws:userId} by the letter
        for one in document["Statement"]:
            lists = {key: [one[key]] if isinstance(one[key], str) else one[key] for key in ("Action", "Resource")}
            yield name, {**one, **lists}


def identity_statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the statements of those who act, not those of key, bucket, topic and endpoints."""
    for name, one in statements():
        if RESOURCES[name.partition(".")[0]]["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Role"):
            yield name, one


def test_there_are_policies_of_every_kind() -> None:
    assert {name for name, _ in documents()} == {
        "AirflowPolicy", "AlarmTopicPolicy", "BucketPolicy", "EmrEndpoint", "EventsPolicy", "EventsQueuePolicy",
        "GlueEndpoint", "Key", "KmsEndpoint", "LogsEndpoint", "MetricsEndpoint", "NodePolicy", "NotebookPolicy",
        "S3Endpoint", "ServiceRole.nodes", "SessionPolicy", "SqsEndpoint", "SsmEndpoint", "SsmMessagesEndpoint",
        "StsEndpoint", "StudioServiceRole.studio", "StudioUserPolicy",
    }  # fmt: skip


def test_no_action_is_a_wildcard() -> None:
    wild = {(name, one.get("Sid")) for name, one in statements() if any("*" in action for action in one["Action"])}
    assert wild == WILDCARDS.keys()
    assert not any({"NotAction", "NotResource", "NotPrincipal"} & one.keys() for _, one in statements())


def test_who_acts_on_everything_does_so_on_a_condition_or_the_api_knows_no_resources() -> None:
    bare = {
        action
        for _, one in identity_statements()
        if "*" in one["Resource"] and not one.get("Condition")
        for action in one["Action"]
    }
    assert bare == WITHOUT_RESOURCES.keys()


def test_what_may_be_done_to_all_of_a_kind_is_narrowed_by_a_condition() -> None:
    # EMR's ids are not known beforehand: tags tell whose a cluster is. Reading needs none.
    open_to_all = {
        (name, action)
        for name, one in identity_statements()
        if any(re.search(r":[a-z-]+/\*$", resource) for resource in one["Resource"]) and not one.get("Condition")
        for action in one["Action"]
    }
    assert open_to_all == {
        # Tags are known by a description alone; the id of a UI is told to its maker alone.
        ("AirflowPolicy", "elasticmapreduce:DescribeCluster"),
        ("AirflowPolicy", "elasticmapreduce:GetPersistentAppUIPresignedURL"),
        # An instance registers itself with Session Manager; which id it has is not known.
        ("SessionPolicy", "ssm:UpdateInstanceInformation"),
        ("StudioServiceRole.studio", "elasticmapreduce:DescribeCluster"),
        ("StudioServiceRole.studio", "elasticmapreduce:ListInstances"),
        ("StudioServiceRole.studio", "elasticmapreduce:ListSteps"),
        # EMR's guide: cannot be narrowed.
        ("StudioServiceRole.studio", "ec2:ModifyNetworkInterfaceAttribute"),
    }


def test_nobody_who_acts_can_destroy_versions_or_change_policies() -> None:
    forbidden = [
        (name, action)
        for name, one in identity_statements()
        for action in one["Action"]
        if any(re.fullmatch(pattern, action) for pattern in NEVER)
    ]
    assert forbidden == []


@pytest.mark.parametrize("name", ["AirflowPolicy", "NodePolicy", "NotebookPolicy"])
def test_nobody_changes_photos_or_code_of_others(name: str) -> None:
    bucket = "arn:aws:s3:::orchard-prod-000000000000-eu-west-1"
    changed = {
        resource.removeprefix(bucket)
        for _, one in (pair for pair in identity_statements() if pair[0] == name)
        for action in one["Action"]
        if action in ("s3:PutObject", "s3:DeleteObject")
        for resource in one["Resource"]
    }
    assert (
        changed
        == {
            "AirflowPolicy": {"/lake/tables/*", "/lake/reports/*", "/lake/code/*", "/lake/lease.json"},
            "NodePolicy": {"/lake/tables/*", "/lake/exports/*", "/lake/steps/*", "/lake/logs/*"},
            "NotebookPolicy": {"/jupyter/*", "/lake/logs/*"},
        }[name]
    )


def test_buckets_that_are_read_are_ours_or_named() -> None:
    read = {
        resource
        for _, one in identity_statements()
        for action in one["Action"]
        if action == "s3:GetObject"
        for resource in one["Resource"]
    }
    assert read == {
        "arn:aws:s3:::orchard-prod-000000000000-eu-west-1/photos/*",
        "arn:aws:s3:::orchard-prod-000000000000-eu-west-1/lake/*",
        "arn:aws:s3:::orchard-prod-000000000000-eu-west-1/jupyter/*",
        "arn:aws:s3:::orchard-prod-000000000000-eu-west-1/studio/*",
        "arn:aws:s3:::fruits-photos/2026/*",
        "arn:aws:s3:::fruits-certificates/prod.zip",
    }


def test_nodes_do_nothing_of_emr_and_ec2() -> None:
    services = {action.partition(":")[0] for action in actions("NodePolicy")}
    assert services == {"s3", "kms", "glue"}


def test_of_emr_airflow_does_what_its_operators_pages_and_checks_call_and_no_more() -> None:
    assert {one.partition(":")[2] for one in actions("AirflowPolicy") if one.startswith("elasticmapreduce:")} == {
        "AddJobFlowSteps", "AddTags", "CancelSteps", "CreatePersistentAppUI", "DescribeCluster", "DescribeReleaseLabel",
        "DescribeSecurityConfiguration", "DescribeStep", "GetPersistentAppUIPresignedURL", "ListClusters",
        "ListInstances", "ListSteps", "ListSupportedInstanceTypes", "PutAutoTerminationPolicy", "RunJobFlow",
        "TerminateJobFlows",
    }  # fmt: skip


def test_an_airflow_in_our_own_network_reaches_all_of_emr_that_it_may_call() -> None:
    emr = {one for one in actions("AirflowPolicy") if one.startswith("elasticmapreduce:")}
    assert actions("EmrEndpoint") == emr


@pytest.mark.parametrize("name", ["AirflowPolicy", "EventsPolicy", "NodePolicy", "NotebookPolicy"])
def test_endpoints_let_through_what_policies_permit_of_s3_and_glue(name: str) -> None:
    wanted = {one for one in actions(name) if one.startswith("glue:")}
    assert wanted <= actions("GlueEndpoint")
    (ours,) = [one for _, one in statements() if one.get("Sid") == "OurBucket"]
    assert {one for one in actions(name) if one.startswith("s3:")} <= set(ours["Action"])


def test_airflow_hears_of_photos_and_sends_nothing() -> None:
    """Of the stack's own queue; in the stack's own network, too."""
    assert actions("EventsPolicy") == {
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "s3:GetBucketNotification",
    }  # fmt: skip
    assert actions("SqsEndpoint") == {one for one in actions("EventsPolicy") if one.startswith("sqs:")}
    resources = {one for name, each in identity_statements() if name == "EventsPolicy" for one in each["Resource"]}
    assert resources == {"arn:aws:sqs:eu-west-1:000000000000:orchard-prod-events", "arn:aws:s3:::fruits-photos"}


@pytest.mark.parametrize(
    ("elsewhere", "bucket"),
    [("", "orchard-prod-000000000000-eu-west-1"), ("fruits-photos", "fruits-photos")],
)
def test_nobody_but_the_bucket_of_the_photos_fills_the_queue(elsewhere: str, bucket: str) -> None:
    tls, send = policy("EventsQueuePolicy", EVERYTHING | {"PhotosBucket": elsewhere})["Statement"]
    assert (tls["Effect"], tls["Action"], tls["Principal"]) == ("Deny", "sqs:*", "*")
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    queue = "arn:aws:sqs:eu-west-1:000000000000:orchard-prod-events"
    assert (send["Action"], send["Principal"]) == ("sqs:SendMessage", {"Service": "s3.amazonaws.com"})
    assert {tls["Resource"], send["Resource"]} == {queue}
    assert send["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "000000000000"},
        "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"},
    }


def test_events_are_of_photos_and_of_our_bucket_alone() -> None:
    def told(**parameters: str) -> Any:
        known = {"Environment": "prod", "EventsQueuePolicy": "policy", **parameters}
        return Resolver(TEMPLATE, known).resolve(RESOURCES["Bucket"]["Properties"]).get("NotificationConfiguration")

    (queue,) = told(WithEvents="true")["QueueConfigurations"]
    assert queue == {
        "Event": "s3:ObjectCreated:*",
        "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "photos/"}]}},
        "Queue": "arn:aws:sqs:eu-west-1:000000000000:orchard-prod-events",
    }
    # An existing bucket may tell others, too, and CloudFormation would know nothing of them.
    assert told() is told(WithEvents="true", PhotosBucket="fruits-photos") is None


def test_what_makes_events_is_made_only_when_asked_for() -> None:
    ours = {"EventsQueue", "EventsQueuePolicy", "EventsPolicy"}
    assert made({"WithEvents": "true"}) - made({}) == ours
    assert made({"WithEvents": "true", "WithMoreEndpoints": "true"}) - made({"WithMoreEndpoints": "true"}) == {
        *ours, "SqsEndpoint",
    }  # fmt: skip
    queue = RESOURCES["EventsQueue"]["Properties"]
    assert (queue["SqsManagedSseEnabled"], queue["MessageRetentionPeriod"]) == (True, 86400)


def test_what_stays_without_the_rest_tells_nobody() -> None:
    part = data_part(TEMPLATE)
    assert {name for name in part["Resources"] if name.startswith("Events")} == set()
    assert "NotificationConfiguration" not in part["Resources"]["Bucket"]["Properties"]
    assert "NotificationConfiguration" in RESOURCES["Bucket"]["Properties"]


def test_keys_are_used_by_way_of_s3_alone() -> None:
    for name, one in identity_statements():
        if name in ("AirflowPolicy", "NodePolicy", "NotebookPolicy") and {"kms:Decrypt"} & set(one["Action"]):
            assert one["Condition"] == {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}, name


def test_roles_are_passed_by_name_to_one_service() -> None:
    passed = {
        (name, resource, one["Condition"]["StringEquals"]["iam:PassedToService"])
        for name, one in identity_statements()
        if "iam:PassRole" in one["Action"]
        for resource in one["Resource"]
    }
    role = "arn:aws:iam::000000000000:role/orchard-prod"
    assert passed == {
        ("AirflowPolicy", f"{role}-emr-service", "elasticmapreduce.amazonaws.com"),
        ("AirflowPolicy", f"{role}-emr-node", "ec2.amazonaws.com"),
        ("ServiceRole.nodes", f"{role}-emr-node", "ec2.amazonaws.com"),
        ("ServiceRole.nodes", f"{role}-notebook", "ec2.amazonaws.com"),
        ("StudioUserPolicy", f"{role}-studio", "elasticmapreduce.amazonaws.com"),
    }


def test_roles_are_made_for_emr_and_spot_alone_which_alone_can_take_them() -> None:
    made = {
        (name, one["Resource"][0].rpartition("/")[2], one["Condition"]["StringEquals"]["iam:AWSServiceName"])
        for name, one in identity_statements()
        if "iam:CreateServiceLinkedRole" in one["Action"]
    }
    assert made == {
        ("AirflowPolicy", "AWSServiceRoleForEMRCleanup", "elasticmapreduce.amazonaws.com"),
        ("ServiceRole.nodes", "AWSServiceRoleForEC2Spot", "spot.amazonaws.com"),
    }


def test_a_new_cluster_carries_the_tags_that_it_is_known_by() -> None:
    (rent,) = [one for _, one in identity_statements() if "elasticmapreduce:RunJobFlow" in one["Action"]]
    assert rent["Condition"] == {
        "StringEquals": {
            "aws:RequestTag/for-use-with-amazon-emr-managed-policies": "true",
            "aws:RequestTag/orchard:lake": "s3://orchard-prod-000000000000-eu-west-1/lake",
        }
    }


@pytest.mark.parametrize(
    ("role", "principal"),
    [
        ("ServiceRole", {"Service": "elasticmapreduce.amazonaws.com"}),
        ("NodeRole", {"Service": "ec2.amazonaws.com"}),
        ("AirflowRole", {"AWS": "arn:aws:iam::000000000000:role/airflow"}),
        ("NotebookRole", {"Service": "ec2.amazonaws.com"}),
        ("StudioServiceRole", {"Service": "elasticmapreduce.amazonaws.com"}),
    ],
)
def test_trust(role: str, principal: dict[str, str]) -> None:
    (one,) = policy(f"{role}.trust", EVERYTHING)["Statement"]
    assert (one["Effect"], one["Action"], one["Principal"]) == ("Allow", "sts:AssumeRole", principal)
    if principal == {"Service": "elasticmapreduce.amazonaws.com"}:  # which acts for others, too
        assert one["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "000000000000"},
            "ArnLike": {"aws:SourceArn": "arn:aws:elasticmapreduce:eu-west-1:000000000000:*"},
        }


def test_these_are_all_the_roles() -> None:
    roles = {name for name, one in RESOURCES.items() if one["Type"] == "AWS::IAM::Role"}
    assert roles == {"ServiceRole", "NodeRole", "AirflowRole", "NotebookRole", "StudioServiceRole"}


def test_of_awss_own_policies_the_one_that_is_not_retired_is_used() -> None:
    managed = re.findall(r"iam::aws:policy/[A-Za-z0-9/_-]+", json.dumps(TEMPLATE))
    assert managed == ["iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"]


@pytest.mark.parametrize("name", ["AirflowPolicy", "EventsPolicy", "NodePolicy", "NotebookPolicy", "StudioUserPolicy"])
def test_managed_policies_are_short_enough_with_the_longest_names(name: str) -> None:
    long = {
        "Environment": "a" * 16, "AWS::StackName": f"orchard-{'a' * 16}", "AWS::Region": "eu-central-1",
        "PhotosBucket": "b" * 63, "PhotosPrefix": "c" * 60,
    }  # fmt: skip
    text = json.dumps(policy(name, EVERYTHING | long), separators=(",", ":"))
    assert len(text) <= 6144  # IAM's limit


def test_instance_profiles_are_named_as_their_roles_as_emr_wants() -> None:
    resolver = Resolver(TEMPLATE, EVERYTHING)
    profiles = [one["Properties"] for one in RESOURCES.values() if one["Type"] == "AWS::IAM::InstanceProfile"]
    named = [(resolver.resolve(one["InstanceProfileName"]), resolver.resolve(one["Roles"])) for one in profiles]
    assert named == [
        ("orchard-prod-emr-node", ["orchard-prod-emr-node"]),
        ("orchard-prod-notebook", ["orchard-prod-notebook"]),
    ]


def test_what_holds_data_is_retained_and_nothing_else() -> None:
    kept = {name: one for name, one in RESOURCES.items() if "DeletionPolicy" in one or "UpdateReplacePolicy" in one}
    assert kept.keys() == {"Bucket", "BucketPolicy", "Key", "Database"}
    for one in kept.values():
        assert (one["DeletionPolicy"], one["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert "Condition" not in one  # or a parameter could take it out of the stack


def test_bucket() -> None:
    bucket = Resolver(TEMPLATE, EVERYTHING).resolve(RESOURCES["Bucket"]["Properties"])
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["BucketKeyEnabled"] is True
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    old, broken, logs = bucket["LifecycleConfiguration"]["Rules"]
    assert old["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert broken["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert (logs["Prefix"], logs["ExpirationInDays"]) == ("lake/logs/", 90)
    # Nothing but logs ever goes by itself.
    assert [rule.get("Prefix") for rule in (old, broken, logs) if "ExpirationInDays" in rule] == ["lake/logs/"]
    (tls,) = policy("BucketPolicy", EVERYTHING)["Statement"]
    assert (tls["Effect"], tls["Principal"], tls["Condition"]) == (
        "Deny", "*", {"Bool": {"aws:SecureTransport": "false"}},
    )  # fmt: skip


def test_the_eu_is_the_same_here_and_in_the_settings() -> None:
    rule = TEMPLATE["Rules"]["DataStayInTheEu"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "OutsideEu"}, "false"]}
    (assertion,) = rule["Assertions"]
    regions, region = assertion["Assert"]["Fn::Contains"]
    assert tuple(regions) == EU_REGIONS
    assert region == {"Ref": "AWS::Region"}
    assert TEMPLATE["Parameters"]["OutsideEu"]["Default"] == "false"


@pytest.mark.parametrize("region", EU_REGIONS)
def test_a_region_without_budgets_gets_all_but_the_budget(region: str) -> None:
    text = PATH.read_text("utf-8")
    made = for_region(text, region)
    if region in ("eu-north-1", "eu-south-1", "eu-south-2"):
        assert RESOURCES.keys() - json.loads(made)["Resources"].keys() == {"Budget"}
        assert '"Budget"' not in made  # nothing refers to it
    else:
        assert made == text


def test_each_region_of_the_eu_is_linted() -> None:
    makefile = (PATH.parents[1] / "Makefile").read_text("utf-8")
    linted = re.findall(r"cfn-lint --regions ([a-z0-9 -]+) --", makefile)
    assert sorted(" ".join(linted).split()) == sorted(EU_REGIONS)


def test_environment_is_the_only_parameter_that_must_be_given() -> None:
    assert [name for name, one in TEMPLATE["Parameters"].items() if "Default" not in one] == ["Environment"]
    pattern = TEMPLATE["Parameters"]["Environment"]["AllowedPattern"]
    assert re.search(pattern, "a123456789012345")
    assert not any(re.search(pattern, name) for name in ("Prod", "my-env", "1st", "", "a1234567890123456"))
    # The longest names that follow from it, and from the longest of AWS' regions: of a bucket, of a role.
    assert len("orchard--123456789012-ap-southeast-1") + 16 <= 63
    assert len("orchard--emr-service") + 16 <= 64


OUTPUTS = {
    "Bucket": "orchard-prod-000000000000-eu-west-1",
    "Lake": "s3://orchard-prod-000000000000-eu-west-1/lake",
    "Photos": "s3://orchard-prod-000000000000-eu-west-1/photos/",
    "KeyArn": KEY,
    "Database": "orchard_prod",
    "ServiceRole": "orchard-prod-emr-service",
    "NodeProfile": "orchard-prod-emr-node",
    "AirflowPolicyArn": "arn:aws:iam::000000000000:policy/orchard-prod-airflow",
    "SecurityConfiguration": "orchard-prod",
    "Subnets": "subnet-a,subnet-b",
    "PrimarySecurityGroup": "sg-1",
    "CoreSecurityGroup": "sg-2",
    "ServiceSecurityGroup": "sg-3",
    "AlarmTopic": "arn:aws:sns:eu-west-1:000000000000:orchard-prod-alarms",
}
CHOSEN_BY_AWS = {
    "Key.Arn": KEY,
    "SubnetA": "subnet-a",
    "SubnetB": "subnet-b",
    "PrimarySecurityGroup.GroupId": "sg-1",
    "CoreSecurityGroup.GroupId": "sg-2",
    "ServiceSecurityGroup.GroupId": "sg-3",
    "StudioEngineSecurityGroup.GroupId": "sg-4",
    "Studio.Url": "https://studio",
    "Studio.Arn": EVERYTHING["Studio.Arn"],
    "EventsQueue": "https://sqs.eu-west-1.amazonaws.com/000000000000/orchard-prod-events",
}


def outputs(parameters: dict[str, str]) -> dict[str, Any]:
    resolver = Resolver(TEMPLATE, CHOSEN_BY_AWS | parameters)
    there = {key: one for key, one in TEMPLATE["Outputs"].items() if resolver.holds(one.get("Condition", ALWAYS))}
    return {key: resolver.resolve(one["Value"]) for key, one in there.items()}


ALWAYS = {"Fn::Equals": ["", ""]}


def test_outputs() -> None:
    assert outputs({"Environment": "prod"}) == OUTPUTS


def test_outputs_of_everything_in_an_existing_network() -> None:
    existing = {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2"}
    assert outputs(EVERYTHING | existing) == OUTPUTS | {
        "Photos": "s3://fruits-photos/2026/",
        "Subnets": "subnet-1,subnet-2",
        "AirflowRoleArn": "arn:aws:iam::000000000000:role/orchard-prod-airflow",
        "SecurityConfiguration": "orchard-prod-tls",
        "NotebookRole": "orchard-prod-notebook",
        "NotebookSecurityConfiguration": "orchard-prod-notebook",
        "StudioUrl": "https://studio",
        "StudioEngineSecurityGroup": "sg-4",
        "StudioUserPolicyArn": "arn:aws:iam::000000000000:policy/orchard-prod-studio-user",
        "EventsQueue": "https://sqs.eu-west-1.amazonaws.com/000000000000/orchard-prod-events",
        "EventsQueueArn": "arn:aws:sqs:eu-west-1:000000000000:orchard-prod-events",
        "EventsPolicyArn": "arn:aws:iam::000000000000:policy/orchard-prod-events",
    }


def made(parameters: dict[str, str]) -> set[str]:
    """Return the types and names of what is made."""
    resolver = Resolver(TEMPLATE, {"Environment": "prod"} | parameters)
    return {name for name, one in RESOURCES.items() if resolver.holds(one.get("Condition", ALWAYS))}


def test_an_existing_network_gets_security_groups_and_nothing_else() -> None:
    kinds = {RESOURCES[name]["Type"] for name in made({"VpcId": "vpc-1", "SubnetIds": "subnet-1"})}
    assert {kind for kind in kinds if kind.startswith("AWS::EC2::")} == {
        "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress",
    }  # fmt: skip


def test_its_own_network_has_no_way_out_but_its_endpoints() -> None:
    names = made({})
    assert {name for name in names if RESOURCES[name]["Type"] == "AWS::EC2::VPCEndpoint"} == {
        "S3Endpoint", "GlueEndpoint",
    }  # fmt: skip
    types = {one["Type"] for one in RESOURCES.values()}
    assert not types & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route"}


def test_what_emr_works_on_carries_the_tag_of_its_managed_policy() -> None:
    tagged = {
        name
        for name, one in RESOURCES.items()
        if {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"} in one["Properties"].get("Tags", ())
    }
    assert tagged == {
        "Vpc", "SubnetA", "SubnetB", "PrimarySecurityGroup", "CoreSecurityGroup", "ServiceSecurityGroup",
        "StudioWorkspaceSecurityGroup", "StudioEngineSecurityGroup",
    }  # fmt: skip


# What costs money by itself, or holds data, or acts, and can be tagged.
TAGGED = (
    "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::RouteTable",
    "AWS::EC2::VPCEndpoint", "AWS::EC2::SecurityGroup", "AWS::IAM::Role", "AWS::SNS::Topic", "AWS::SQS::Queue",
    "AWS::EMR::Studio",
)  # fmt: skip


def test_everything_tells_its_environment() -> None:
    tag = {"Key": "orchard:environment", "Value": {"Ref": "Environment"}}
    bare = [
        name
        for name, one in RESOURCES.items()
        if one["Type"] in TAGGED and tag not in one["Properties"].get("Tags", ())
    ]
    assert bare == []


def rules(kind: str, group: str, peer: str) -> set[tuple[str, str, int, int]]:
    """Collect the rules of a security group that name others: (other, protocol, first port, last port)."""
    found = set()
    for name, one in RESOURCES.items():
        properties = one["Properties"]
        inline = properties.get(f"SecurityGroup{kind}", ()) if name == group else ()
        own = [properties] if one["Type"] == f"AWS::EC2::SecurityGroup{kind}" else []
        for rule in (*inline, *(rule for rule in own if rule["GroupId"] == {"Ref": group})):
            if peer in rule:
                found.add((rule[peer]["Ref"], rule["IpProtocol"], rule.get("FromPort", -1), rule.get("ToPort", -1)))
    return found


PRIMARY, CORE, SERVICE = "PrimarySecurityGroup", "CoreSecurityGroup", "ServiceSecurityGroup"
CLUSTER = {
    (group, protocol, *ports)
    for group in (PRIMARY, CORE)
    for protocol, ports in (("icmp", (-1, -1)), ("tcp", (0, 65535)), ("udp", (0, 65535)))
}


def test_security_groups_have_emrs_rules_for_private_subnets() -> None:
    # EMR's guide, "Working with Amazon EMR-managed security groups": up to 7 by 8443 and 9443, from 8 on by 443.
    assert rules("Ingress", PRIMARY, "SourceSecurityGroupId") == CLUSTER | {(SERVICE, "tcp", 8443, 8443)}
    assert rules("Ingress", CORE, "SourceSecurityGroupId") == CLUSTER | {(SERVICE, "tcp", 8443, 8443)}
    assert rules("Ingress", SERVICE, "SourceSecurityGroupId") == {
        (PRIMARY, "tcp", 9443, 9443), (PRIMARY, "tcp", 443, 443), (CORE, "tcp", 443, 443),
    }  # fmt: skip
    nodes = {(PRIMARY, "-1", -1, -1), (CORE, "-1", -1, -1)}
    assert rules("Egress", PRIMARY, "DestinationSecurityGroupId") == nodes | {(SERVICE, "tcp", 9443, 9443)}
    assert rules("Egress", CORE, "DestinationSecurityGroupId") == nodes
    assert rules("Egress", SERVICE, "DestinationSecurityGroupId") == {
        (PRIMARY, "tcp", 8443, 8443), (CORE, "tcp", 8443, 8443),
    }  # fmt: skip


def test_nobody_comes_in_from_outside() -> None:
    inbound = [
        rule["CidrIp"]
        for one in RESOURCES.values()
        for rule in (
            *one["Properties"].get("SecurityGroupIngress", ()),
            *([one["Properties"]] if one["Type"] == "AWS::EC2::SecurityGroupIngress" else []),
        )
        if "CidrIp" in rule
    ]
    assert inbound == [{"Ref": "VpcCidr"}]


@pytest.mark.parametrize(("transit", "hops"), [("", 1), ("s3://fruits-certificates/prod.zip", 1)])
def test_security_configuration(transit: str, hops: int) -> None:
    resolver = Resolver(TEMPLATE, {"Environment": "prod", "Key.Arn": KEY, "InTransitCertificates": transit})
    made = resolver.resolve(RESOURCES["SecurityConfiguration"]["Properties"]["SecurityConfiguration"])
    encryption = made["EncryptionConfiguration"]
    assert encryption["EnableAtRestEncryption"] is True
    assert encryption["AtRestEncryptionConfiguration"] == {
        "S3EncryptionConfiguration": {"EncryptionMode": "SSE-KMS", "AwsKmsKey": KEY},
        "LocalDiskEncryptionConfiguration": {
            "EnableEbsEncryption": True,
            "EncryptionKeyProviderType": "AwsKms",
            "AwsKmsKey": KEY,
        },
    }
    assert encryption["EnableInTransitEncryption"] is bool(transit)
    assert encryption.get("InTransitEncryptionConfiguration") == (
        {"TLSCertificateConfiguration": {"CertificateProviderType": "PEM", "S3Object": transit}} if transit else None
    )
    assert made["InstanceMetadataServiceConfiguration"] == {
        "MinimumInstanceMetadataServiceVersion": 2,
        "HttpPutResponseHopLimit": hops,
    }


def test_alarms_reach_the_topic() -> None:
    topic = {"Ref": "AlarmTopic"}
    for one in RESOURCES.values():
        if one["Type"] == "AWS::CloudWatch::Alarm":
            assert one["Properties"]["AlarmActions"] == [topic]
        if one["Type"] == "AWS::Events::Rule":
            assert [target["Arn"] for target in one["Properties"]["Targets"]] == [topic]
    publishers = {
        one["Principal"]["Service"]
        for one in policy("AlarmTopicPolicy", EVERYTHING)["Statement"]
        if one["Effect"] == "Allow"
    }
    # The topic is encrypted: who may publish must be able to use the key for it.
    key_users = {
        one["Principal"]["Service"] for one in policy("Key", EVERYTHING)["Statement"] if "Service" in one["Principal"]
    }
    assert publishers == key_users == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}


def test_alarms_watch_the_figures_that_airflow_puts() -> None:
    watched = {
        (one["Properties"]["Namespace"], one["Properties"]["MetricName"])
        for one in RESOURCES.values()
        if one["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert watched == {(metrics.NAMESPACE, metrics.CLUSTER_HOURS), (metrics.NAMESPACE, metrics.FAILED_RUNS)}
    for one in RESOURCES.values():
        if one["Type"] == "AWS::CloudWatch::Alarm":
            assert one["Properties"]["Dimensions"] == [{"Name": metrics.DIMENSION, "Value": {"Ref": "Environment"}}]
    (put,) = [one for _, one in identity_statements() if "cloudwatch:PutMetricData" in one["Action"]]
    assert put["Condition"] == {"StringEquals": {"cloudwatch:namespace": metrics.NAMESPACE}}


def test_alarms_know_clusters_and_steps_by_the_names_that_they_are_given() -> None:
    named = {
        name: RESOURCES[name]["Properties"]["EventPattern"]["detail"]["name"]
        for name in ("FailedCluster", "FailedStep")
    }
    assert named["FailedCluster"] == [{"prefix": "orchard "}]
    assert cluster.name(SimpleNamespace(run_id="scheduled__2026-11-21")).startswith("orchard ")  # type: ignore[arg-type]
    assert named["FailedStep"] == [{"prefix": f"{step} "} for step in cluster.STEPS]


def test_the_budget_counts_what_carries_the_environments_tag() -> None:
    budget = Resolver(TEMPLATE, EVERYTHING).resolve(RESOURCES["Budget"]["Properties"]["Budget"])
    assert budget["CostFilters"] == {"TagKeyValue": ["user:orchard:environment$prod"]}


def actions(name: str) -> set[str]:
    return {action for other, one in statements() if other == name for action in one["Action"]}


def test_what_only_aws_can_know_must_be_given() -> None:
    with pytest.raises(KeyError, match="Environment"):
        policy("NodePolicy", {})
    with pytest.raises(KeyError, match="NoSuchPolicy"):
        policy("NoSuchPolicy", {"Environment": "prod"})
    with pytest.raises(KeyError, match="SubnetA: AWS chooses what this is"):
        Resolver(TEMPLATE, {"Environment": "prod"}).resolve({"Ref": "SubnetA"})
    with pytest.raises(NotImplementedError, match="Fn::GetAZs: expected one of Ref, GetAtt"):
        Resolver(TEMPLATE, {"Environment": "prod"}).resolve({"Fn::GetAZs": ""})


def test_other_names_can_be_given_than_those_that_follow_from_the_environment() -> None:
    document = policy("NodePolicy", {"Environment": "prod", "Bucket": "fruits", "Database": "pears"})
    text = json.dumps(document)
    assert "arn:aws:s3:::fruits/lake/tables/*" in text
    assert "arn:aws:glue:eu-west-1:000000000000:table/pears/*" in text
    assert "orchard" not in text
