"""Answers of AWS' Price List API, as GetProducts gives them, for a stubbed client."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.stub import Stubber


def product(family: str, attributes: dict[str, str], usd: str, sku: str = "FGQKTVC4H5FY9Q7F") -> str:
    """Make an item of a PriceList as GetProducts answers it, a JSON text."""
    term = f"{sku}.JRTCKXETXF"
    return json.dumps(
        {
            "product": {"productFamily": family, "attributes": {"regionCode": "eu-west-1", **attributes}, "sku": sku},
            "serviceCode": "AmazonEC2",
            "terms": {
                "OnDemand": {
                    term: {
                        "priceDimensions": {
                            f"{term}.6YS6EN2CT7": {
                                "unit": "Hrs",
                                "endRange": "Inf",
                                "description": f"${usd} per On Demand Linux Instance Hour",
                                "appliesTo": [],
                                "rateCode": f"{term}.6YS6EN2CT7",
                                "beginRange": "0",
                                "pricePerUnit": {"USD": usd},
                            }
                        },
                        "sku": sku,
                        "effectiveDate": "2026-09-01T00:00:00Z",
                        "offerTermCode": "JRTCKXETXF",
                        "termAttributes": {},
                    }
                },
                "Reserved": {
                    f"{sku}.38NPMPTW36": {
                        "priceDimensions": {
                            f"{sku}.38NPMPTW36.2TG2D8R56U": {
                                "unit": "Quantity",
                                "description": "Upfront Fee",
                                "appliesTo": [],
                                "rateCode": f"{sku}.38NPMPTW36.2TG2D8R56U",
                                "pricePerUnit": {"USD": "867"},
                            }
                        },
                        "sku": sku,
                        "offerTermCode": "38NPMPTW36",
                        "termAttributes": {"LeaseContractLength": "1yr", "OfferingClass": "standard"},
                    }
                },
            },
            "version": "20260915161142",
            "publicationDate": "2026-09-15T16:11:42Z",
        }
    )


def ec2(instance_type: str, usd: str) -> str:
    attributes = {
        "instanceType": instance_type,
        "operatingSystem": "Linux",
        "usagetype": f"EU-BoxUsage:{instance_type}",
    }
    return product("Compute Instance", attributes, usd)


def emr(instance_type: str, usd: str) -> str:
    return product("Elastic Map Reduce Instance", {"instanceType": instance_type, "softwareType": "EMR"}, usd)


def tiers(item: str, *later: str) -> str:
    """Give an item prices for the most, after the first so many units."""
    made = json.loads(item)
    (term,) = made["terms"]["OnDemand"].values()
    (name, first), *_ = term["priceDimensions"].items()
    for number, usd in enumerate(later, start=1):
        dimension = first | {"beginRange": str(51200 * number), "pricePerUnit": {"USD": usd}}
        term["priceDimensions"][f"{name}.{number}"] = dimension
    return json.dumps(made)


def s3(family: str, usage: str, usd: str, **attributes: str) -> str:
    return product(family, {"usagetype": usage, **attributes}, usd)


GP3 = product("Storage", {"volumeApiName": "gp3", "usagetype": "EU-EBS:VolumeUsage.gp3"}, "0.0880000000")


def stubbed() -> Iterator[Stubber]:
    """Give a client of the API that answers what it was told, and nothing else."""
    client = boto3.client("pricing", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def answer(stub: Stubber, service: str, wanted: dict[str, str], *pages: list[str]) -> None:
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    asked: dict[str, Any] = {"ServiceCode": service, "Filters": filters, "FormatVersion": "aws_v1"}
    for number, page in enumerate(pages):
        more = {"NextToken": f"page {number + 1}"} if number + 1 < len(pages) else {}
        before = {"NextToken": f"page {number}"} if number else {}
        stub.add_response("get_products", {"FormatVersion": "aws_v1", "PriceList": page} | more, asked | before)


S3 = (
    [
        tiers(s3("Storage", "EU-TimedStorage-ByteHrs", "0.0230000000"), "0.0220000000", "0.0210000000"),
        s3("Storage", "EU-TimedStorage-SIA-ByteHrs", "0.0125000000"),
    ],
    [s3("API Request", "EU-Requests-Tier1", "0.0000050000")],
    [s3("API Request", "EU-Requests-Tier2", "0.0000004000")],
)


def answers(
    stub: Stubber,
    ec2_pages: list[list[str]],
    emr_page: list[str],
    gp3_page: list[str],
    s3_pages: tuple[list[str], list[str], list[str]] | None = S3,
) -> None:
    """Answer what a region's prices are asked with, in turn; `s3_pages` are None where it does not come to that."""
    machines = {
        "productFamily": "Compute Instance",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
        "regionCode": "eu-west-1",
    }
    answer(stub, "AmazonEC2", machines, *ec2_pages)
    instances = {"productFamily": "Elastic Map Reduce Instance", "softwareType": "EMR", "regionCode": "eu-west-1"}
    answer(stub, "ElasticMapReduce", instances, emr_page)
    answer(stub, "AmazonEC2", {"productFamily": "Storage", "volumeApiName": "gp3", "regionCode": "eu-west-1"}, gp3_page)
    wanted = (
        {"productFamily": "Storage", "volumeType": "Standard"},
        {"productFamily": "API Request", "group": "S3-API-Tier1"},
        {"productFamily": "API Request", "group": "S3-API-Tier2"},
    )
    for one, page in zip(wanted, s3_pages or (), strict=False):
        answer(stub, "AmazonS3", {**one, "regionCode": "eu-west-1"}, page)
