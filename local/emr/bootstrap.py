"""Bootstrap actions, one after the other, in a folder of the cluster's own."""

import asyncio

from local.emr.house import House
from local.emr.iam import IamError
from local.emr.logs import Logs
from local.emr.process import Process
from local.emr.s3 import S3Error
from local.emr.state import Cluster


async def bootstrap(house: House, cluster: Cluster) -> str | None:
    """Run the cluster's bootstrap actions.

    Returns
    -------
    str or None
        What EMR says when one failed; the others are not run then.
    """
    folder = house.store.folder(cluster) / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for number, action in enumerate(cluster.request.get("BootstrapActions", ()), 1):
        logs = Logs(house.store.folder(cluster) / "bootstrap-actions" / str(number))
        where = f"On the master instance ({cluster.master.id}), bootstrap action {number}"
        script = action["ScriptBootstrapAction"]
        status: int | str
        if house.faults.take("bootstrap", action["Name"]):
            logs.note("A rule of /_faults lets this bootstrap action fail.")
            status = 1
        else:
            try:
                node = await asyncio.to_thread(house.access.node, cluster)
                made = (cluster, node, script["Path"], script.get("Args", ()), logs.folder / "script")
                command = await asyncio.to_thread(house.commands.of_script, *made)
                logs.note(f"startExec {command} in {folder}")
                async with await Process.start(
                    command.arguments, folder, command.environment, logs["stdout"], logs["stderr"]
                ) as process:
                    status = await process.wait()
            except (IamError, S3Error, OSError) as error:
                logs.note(f"ERROR {error}")
                status = str(error)
        logs.note(f"The bootstrap action ended with {status}")
        if cluster.log_uri:
            uri = f"{cluster.log_uri}/node/{cluster.master.id}/bootstrap-actions/{number}"
            if problem := await asyncio.to_thread(logs.upload, house.access, cluster, uri):
                house.log.warning("%s", problem)
        if isinstance(status, str):
            return f"{where} could not be downloaded: {status}"
        if status != 0:
            return f"{where} returned a non-zero return code{logs.hint()}"
    return None
