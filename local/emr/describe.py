"""How EMR describes clusters, steps and instances."""

from typing import Any

from local.emr.instances import normalized_hours, volumes
from local.emr.releases import OS, ROOT_GIB, applications
from local.emr.runner import Runner
from local.emr.state import Cluster, Instance, Pool, Step

ACCOUNT = "000000000000"
# What a cluster's description takes over from its request as it is.
_SAME = (
    *("AutoScalingRole", "Configurations", "CustomAmiId", "EbsRootVolumeIops", "EbsRootVolumeThroughput"),
    *("ExtendedSupport", "KerberosAttributes", "LogEncryptionKmsKeyId", "MonitoringConfiguration", "ReleaseLabel"),
    *("RepoUpgradeOnBoot", "SecurityConfiguration", "ServiceRole", "SessionEnabled"),
)
_EC2 = (
    *("Ec2KeyName", "EmrManagedMasterSecurityGroup", "EmrManagedSlaveSecurityGroup", "ServiceAccessSecurityGroup"),
    *("AdditionalMasterSecurityGroups", "AdditionalSlaveSecurityGroups"),
)


def arn(cluster: Cluster, region: str) -> str:
    return f"arn:aws:elasticmapreduce:{region}:{ACCOUNT}:cluster/{cluster.id}"


def status(cluster: Cluster) -> dict[str, Any]:
    reason = {"Code": cluster.code, "Message": cluster.message or None}
    return {
        "State": cluster.state,
        "StateChangeReason": reason,
        "Timeline": {
            "CreationDateTime": cluster.created,
            "ReadyDateTime": cluster.ready,
            "EndDateTime": cluster.ended,
        },
        "ErrorDetails": [
            {"ErrorCode": cluster.code, "ErrorMessage": cluster.message, "ErrorData": []}
            for _ in range(cluster.state == "TERMINATED_WITH_ERRORS")
        ],
    }


def summary(cluster: Cluster, region: str) -> dict[str, Any]:
    return {
        "Id": cluster.id,
        "Name": cluster.name,
        "Status": status(cluster),
        "NormalizedInstanceHours": normalized_hours(cluster),
        "ClusterArn": arn(cluster, region),
    }


def description(cluster: Cluster, region: str) -> dict[str, Any]:
    request, instances = cluster.request, cluster.request["Instances"]
    subnets = instances.get("Ec2SubnetIds") or [instances[name] for name in ("Ec2SubnetId",) if name in instances]
    placement = instances.get("Placement", {})
    zones = placement.get("AvailabilityZones") or [placement.get("AvailabilityZone", f"{region}a")]
    return {
        **{name: request.get(name) for name in _SAME},
        **summary(cluster, region),
        "LogUri": _log_uri(request.get("LogUri")),
        "EbsRootVolumeSize": request.get("EbsRootVolumeSize", ROOT_GIB),
        "OSReleaseLabel": request.get("OSReleaseLabel", OS),
        "Ec2InstanceAttributes": {
            **{name: instances.get(name) for name in _EC2},
            "Ec2AvailabilityZone": zones[0],
            "Ec2SubnetId": subnets[0] if subnets else None,
            "IamInstanceProfile": request.get("JobFlowRole"),
            "RequestedEc2SubnetIds": subnets,
            "RequestedEc2AvailabilityZones": placement.get("AvailabilityZones", []),
        },
        "InstanceCollectionType": "INSTANCE_FLEET" if cluster.pools[0].is_fleet else "INSTANCE_GROUP",
        "AutoTerminate": not cluster.keep_alive,
        "TerminationProtected": cluster.protected,
        "UnhealthyNodeReplacement": cluster.replace_unhealthy,
        "VisibleToAllUsers": cluster.visible,
        "Applications": applications(request["ReleaseLabel"], request.get("Applications", ())),
        "Tags": [{"Key": key, "Value": value} for key, value in cluster.tags.items()],
        "MasterPublicDnsName": "localhost" if cluster.state != "STARTING" else None,
        "ScaleDownBehavior": request.get("ScaleDownBehavior", "TERMINATE_AT_TASK_COMPLETION"),
        "PlacementGroups": request.get("PlacementGroupConfigs", []),
        "StepConcurrencyLevel": cluster.concurrency,
    }


def _log_uri(uri: str | None) -> str | None:
    """Give an address of logs as EMR does: in its old scheme, and with its slash."""
    return f"s3n://{uri.partition('://')[2].rstrip('/')}/" if uri else None


def step_summary(runner: Runner, step: Step) -> dict[str, Any]:
    jar = step.request["HadoopJarStep"]
    own = step.request.get("StepMonitoringConfiguration", {}).get("S3MonitoringConfiguration", {})
    return {
        "Id": step.id,
        "Name": step.name,
        "Config": {
            "Jar": jar["Jar"],
            "MainClass": jar.get("MainClass"),
            "Args": jar.get("Args", []),
            "Properties": {pair["Key"]: pair.get("Value", "") for pair in jar.get("Properties", ())},
        },
        "ActionOnFailure": step.action,
        "Status": {
            "State": step.state,
            "StateChangeReason": {"Message": step.message} if step.message else {},
            "FailureDetails": step.failure or None,
            "Timeline": {
                "CreationDateTime": step.created,
                "StartDateTime": step.started,
                "EndDateTime": step.ended,
            },
        },
        "LogUri": own.get("LogUri"),
        "EncryptionKeyArn": own.get("EncryptionKeyArn"),
    }


def instance_state(cluster: Cluster, instance: Instance) -> str:
    if instance.ended is not None:
        return "TERMINATED"
    return {"STARTING": "PROVISIONING", "BOOTSTRAPPING": "BOOTSTRAPPING"}.get(cluster.state, "RUNNING")


def instance_summary(cluster: Cluster, pool: Pool, instance: Instance) -> dict[str, Any]:
    state = instance_state(cluster, instance)
    gone = {"Code": "CLUSTER_TERMINATED", "Message": "Instance was terminated."}
    return {
        "Id": f"ci-{instance.id.removeprefix('i-').upper()[:13]}",
        "Ec2InstanceId": instance.id,
        "PublicDnsName": "localhost",
        "PrivateDnsName": "localhost",
        "PublicIpAddress": "127.0.0.1",
        "PrivateIpAddress": "127.0.0.1",
        "Status": {
            "State": state,
            "StateChangeReason": gone if state == "TERMINATED" else {},
            "Timeline": {
                "CreationDateTime": instance.created,
                "ReadyDateTime": cluster.ready and max(cluster.ready, instance.created),
                "EndDateTime": instance.ended,
            },
        },
        "InstanceFleetId" if pool.is_fleet else "InstanceGroupId": pool.id,
        "Market": instance.market,
        "InstanceType": instance.type,
        "EbsVolumes": volumes(pool, instance),
    }


def pool_status(cluster: Cluster) -> dict[str, Any]:
    states = {"STARTING": "PROVISIONING", "BOOTSTRAPPING": "BOOTSTRAPPING", "TERMINATING": "TERMINATING"}
    ended = cluster.ended is not None
    return {
        "State": "TERMINATED" if ended else states.get(cluster.state, "RUNNING"),
        "StateChangeReason": {"Code": "CLUSTER_TERMINATED", "Message": "Job flow terminated"} if ended else {},
        "Timeline": {
            "CreationDateTime": cluster.created,
            "ReadyDateTime": cluster.ready,
            "EndDateTime": cluster.ended,
        },
    }
