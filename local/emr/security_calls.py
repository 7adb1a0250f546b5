"""The calls about security configurations, which are kept, shown, and mean nothing on one machine."""

import json
import time

from local.emr.calls import Call, Json
from local.emr.emr import Emr
from local.emr.errors import invalid
from local.emr.paging import page


def create(emr: Emr, request: Json) -> Json:
    name = request["Name"]
    if name in emr.security:
        raise invalid(f"Security configuration with name '{name}' already exists.")
    try:
        readable = isinstance(json.loads(request["SecurityConfiguration"]), dict)
    except ValueError:
        readable = False
    if not readable:
        raise invalid(f"The security configuration '{name}' is not a JSON object.")
    emr.security[name] = {**request, "CreationDateTime": time.time()}
    emr.house.store.save_security(emr.security)
    return {"Name": name, "CreationDateTime": emr.security[name]["CreationDateTime"]}


def describe(emr: Emr, request: Json) -> Json:
    return _found(emr, request["Name"])


def delete(emr: Emr, request: Json) -> Json:
    _found(emr, request["Name"])
    del emr.security[request["Name"]]
    emr.house.store.save_security(emr.security)
    return {}


def listed(emr: Emr, request: Json) -> Json:
    kept = (((each["CreationDateTime"], name), each) for name, each in emr.security.items())
    part, marker = page(kept, request.get("Marker"))
    shown = [{key: each[key] for key in ("Name", "CreationDateTime")} for each in part]
    return {"SecurityConfigurations": shown, "Marker": marker}


def _found(emr: Emr, name: str) -> Json:
    if name not in emr.security:
        raise invalid(f"Security configuration with name '{name}' does not exist.")
    return emr.security[name]


CALLS: dict[str, Call] = {
    "CreateSecurityConfiguration": create,
    "DeleteSecurityConfiguration": delete,
    "DescribeSecurityConfiguration": describe,
    "ListSecurityConfigurations": listed,
}
