"""The calls about clusters and steps: each takes a checked request and gives an answer."""

from collections.abc import Callable
from typing import Any

from local.emr import describe, rules
from local.emr.emr import Emr
from local.emr.errors import invalid, validation
from local.emr.paging import page
from local.emr.state import Step, new_id

Json = dict[str, Any]
Call = Callable[[Emr, Json], Json]


def run_job_flow(emr: Emr, request: Json) -> Json:
    rules.check_cluster(request)
    rules.check_steps(None, request.get("Steps", ()), request.get("StepConcurrencyLevel", 1))
    cluster = emr.create(request)
    return {"JobFlowId": cluster.id, "ClusterArn": describe.arn(cluster, emr.region)}


def describe_cluster(emr: Emr, request: Json) -> Json:
    return {"Cluster": describe.description(emr.cluster(request["ClusterId"]), emr.region)}


def list_clusters(emr: Emr, request: Json) -> Json:
    states = request.get("ClusterStates")
    after, before = request.get("CreatedAfter"), request.get("CreatedBefore")
    found = [
        ((-cluster.created, cluster.id), cluster)
        for cluster in emr.clusters.values()
        if (not states or cluster.state in states)
        and (after is None or cluster.created >= after)
        and (before is None or cluster.created <= before)
    ]
    part, marker = page(found, request.get("Marker"))
    return {"Clusters": [describe.summary(cluster, emr.region) for cluster in part], "Marker": marker}


def terminate_job_flows(emr: Emr, request: Json) -> Json:
    ids = request["JobFlowIds"]
    if not ids:
        raise validation("The JobFlowId list cannot be empty")
    if len(ids) > 10:
        raise validation(f"At most 10 clusters can be terminated in one call, not {len(ids)}.")
    clusters = [emr.job_flow(cluster_id) for cluster_id in ids]
    for cluster in clusters:
        if not cluster.protected:
            emr.lives[cluster.id].end("USER_REQUEST", "Terminated by user request")
    if any(cluster.protected and cluster.live for cluster in clusters):
        raise validation("Could not shut down one or more job flows since they are termination protected.")
    return {}


def add_job_flow_steps(emr: Emr, request: Json) -> Json:
    cluster = emr.job_flow(request["JobFlowId"])
    rules.check_steps(cluster, request["Steps"], cluster.concurrency)
    steps = [Step(new_id("s"), step, request.get("ExecutionRoleArn")) for step in request["Steps"]]
    cluster.steps += steps
    emr.lives[cluster.id].wake()
    return {"StepIds": [step.id for step in steps]}


def describe_step(emr: Emr, request: Json) -> Json:
    cluster = emr.cluster(request["ClusterId"])
    step = emr.step(cluster, request["StepId"])
    summary = describe.step_summary(emr.lives[cluster.id].runner, step)
    return {"Step": summary | {"ExecutionRoleArn": step.role}}


def list_steps(emr: Emr, request: Json) -> Json:
    cluster = emr.cluster(request["ClusterId"])
    ids, states = request.get("StepIds"), request.get("StepStates")
    if ids and states:
        raise invalid("Cannot specify both StepIds and StepStates.")
    if ids and len(ids) > 10:
        raise invalid(f"A maximum of 10 step ids can be specified, got {len(ids)}.")
    if ids:
        steps = list(enumerate(emr.step(cluster, step_id) for step_id in ids))
    else:
        steps = [(-n, step) for n, step in enumerate(cluster.steps) if not states or step.state in states]
    part, marker = page(steps, request.get("Marker"))
    runner = emr.lives[cluster.id].runner
    return {"Steps": [describe.step_summary(runner, step) for step in part], "Marker": marker}


def cancel_steps(emr: Emr, request: Json) -> Json:
    cluster = emr.cluster(request["ClusterId"])
    if not cluster.live:
        raise invalid("Steps can be cancelled only while their cluster lives.")
    if not 1 <= len(request["StepIds"]) <= 256:
        raise invalid(f"Between 1 and 256 steps can be cancelled in one call, not {len(request['StepIds'])}.")
    at_once = request.get("StepCancellationOption") == "TERMINATE_PROCESS"
    infos = []
    for step_id in request["StepIds"]:
        step = cluster.step(step_id)
        if step is None:
            infos.append({"StepId": step_id, "Status": "FAILED", "Reason": f"Step id '{step_id}' is not valid."})
        elif emr.lives[cluster.id].runner.cancel(step, at_once):
            infos.append({"StepId": step_id, "Status": "SUBMITTED"})
        else:
            why = f"The step is {step.state}: only pending and running steps can be cancelled."
            infos.append({"StepId": step_id, "Status": "FAILED", "Reason": why})
    emr.lives[cluster.id].wake()
    return {"CancelStepsInfoList": infos}


def list_bootstrap_actions(emr: Emr, request: Json) -> Json:
    actions = emr.cluster(request["ClusterId"]).request.get("BootstrapActions", [])
    part, marker = page(enumerate(actions), request.get("Marker"))
    listed = [
        {
            "Name": action["Name"],
            "ScriptPath": action["ScriptBootstrapAction"]["Path"],
            "Args": action["ScriptBootstrapAction"].get("Args", []),
        }
        for action in part
    ]
    return {"BootstrapActions": listed, "Marker": marker}


CALLS: dict[str, Call] = {
    "AddJobFlowSteps": add_job_flow_steps,
    "CancelSteps": cancel_steps,
    "DescribeCluster": describe_cluster,
    "DescribeStep": describe_step,
    "ListBootstrapActions": list_bootstrap_actions,
    "ListClusters": list_clusters,
    "ListSteps": list_steps,
    "RunJobFlow": run_job_flow,
    "TerminateJobFlows": terminate_job_flows,
}
