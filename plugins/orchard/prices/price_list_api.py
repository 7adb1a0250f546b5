"""Price_list_api: a region's prices, asked of AWS' Price List API.

Its answers are products with their attributes and terms, each a JSON text of its own; see
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchard.instances import INSTANCES
from orchard.prices.asking import LEFT, PriceListError, told
from orchard.prices.price_list import GET, LIST, STORAGE, RegionPrices

ENDPOINT = "eu-central-1"  # it answers in three regions, for all of them
SOURCE = "AWS Price List API"
_EC2 = {
    "productFamily": "Compute Instance",
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
_EMR = {"productFamily": "Elastic Map Reduce Instance", "softwareType": "EMR"}
_GP3 = {"productFamily": "Storage", "volumeApiName": "gp3"}
# S3 Standard, each with the end of its usage type, before which other regions than us-east-1 have a word of their own.
_S3 = {
    STORAGE: ({"productFamily": "Storage", "volumeType": "Standard"}, "TimedStorage-ByteHrs", 1),
    LIST: ({"productFamily": "API Request", "group": "S3-API-Tier1"}, "Requests-Tier1", 1000),
    GET: ({"productFamily": "API Request", "group": "S3-API-Tier2"}, "Requests-Tier2", 1000),
}


def ask(regions: Sequence[str], as_of: str) -> dict[str, RegionPrices]:
    """Ask for the prices of regions, with the credentials that AWS' own tools would take.

    Raises
    ------
    PriceListError
        As `fetch`; or there are no credentials, AWS refuses them, or it cannot be reached.
    """
    import boto3

    with told("The Price List API", "pricing:GetProducts"):
        client = boto3.client("pricing", region_name=ENDPOINT)
        return {region: fetch(client, region, as_of) for region in regions}


def fetch(client: Any, region: str, as_of: str) -> RegionPrices:
    """Ask for the prices of the instance types that are offered.

    Parameters
    ----------
    client
        boto3's, of ``pricing``.
    as_of : str
        Today.

    Raises
    ------
    PriceListError
        There are none, or two prices for one thing.
    """
    ec2 = _by_attribute(_products(client, "AmazonEC2", region, _EC2), "instanceType")
    emr = _by_attribute(_products(client, "ElasticMapReduce", region, _EMR), "instanceType")
    gp3 = _by_attribute(_products(client, "AmazonEC2", region, _GP3), "volumeApiName")
    if not ec2 or not emr or "gp3" not in gp3:
        raise PriceListError(
            f"The Price List API has {len(ec2)} prices of EC2, {len(emr)} of EMR and {len(gp3)} of gp3 for {region}: "
            f"expected some of each. Is the region's name right? {LEFT}"
        )
    ec2, emr = ({name: price for name, price in each.items() if name in INSTANCES} for each in (ec2, emr))
    return RegionPrices(as_of, SOURCE, gp3["gp3"], ec2, emr, _s3(client, region))


def _s3(client: Any, region: str) -> dict[str, float]:
    """Ask for the prices of S3 Standard; without one that there is not."""
    prices = {}
    for name, (wanted, ending, units) in _S3.items():
        found = (
            product
            for product in _products(client, "AmazonS3", region, wanted)
            if re.fullmatch(rf"([A-Z0-9]+-)?{ending}", product["product"]["attributes"].get("usagetype", ""))
        )
        for price in _by_attribute(found, "usagetype").values():
            prices[name] = round(price * units, 9)
    return prices


def _products(client: Any, service: str, region: str, wanted: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    filters.append({"Type": "TERM_MATCH", "Field": "regionCode", "Value": region})
    pages = client.get_paginator("get_products").paginate(ServiceCode=service, Filters=filters, FormatVersion="aws_v1")
    for page in pages:
        yield from map(json.loads, page["PriceList"])


def _by_attribute(products: Iterator[dict[str, Any]], attribute: str) -> dict[str, float]:
    prices: dict[str, float] = {}
    for product in products:
        name = product["product"]["attributes"].get(attribute)
        for price in _on_demand(product):
            if prices.setdefault(name, price) != price:
                raise PriceListError(
                    f"The Price List API has two prices for {name}, ${prices[name]} and ${price}: expected one. "
                    "The list is left as it was; tell Orchard's developers."
                )
    return prices


def _on_demand(product: Mapping[str, Any]) -> Iterator[float]:
    """Yield a product's prices on demand, without those that are nothing, such as of a free tier, or for the most."""
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            price = float(dimension["pricePerUnit"].get("USD", 0))
            if price and float(dimension.get("beginRange", 0)) == 0:
                yield price
