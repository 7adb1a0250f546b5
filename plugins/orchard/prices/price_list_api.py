"""Price_list_api: a region's prices, asked of AWS' Price List API.

Its answers are products with their attributes and terms, each a JSON text of its own; see
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchard.instances import INSTANCES
from orchard.prices.price_list import RegionPrices

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
_LEFT = "The list is left as it was."


class PriceListError(RuntimeError):
    """The Price List API did not answer, or what cannot be made sense of."""


def ask(regions: Sequence[str], as_of: str) -> dict[str, RegionPrices]:
    """Ask for the prices of regions, with the credentials that AWS' own tools would take.

    Raises
    ------
    PriceListError
        As `fetch`; or there are no credentials, AWS refuses them, or it cannot be reached.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

    try:
        client = boto3.client("pricing", region_name=ENDPOINT)
        return {region: fetch(client, region, as_of) for region in regions}
    except ClientError as error:
        raise PriceListError(
            f"The Price List API refused: {error}. Take credentials that are valid and allow pricing:GetProducts. "
            f"{_LEFT}"
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise PriceListError(
            f"The Price List API cannot be reached: {error}. Ask where there is a way to the internet. {_LEFT}"
        ) from error
    except BotoCoreError as error:
        raise PriceListError(
            f"The Price List API could not be asked: {error}. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY, to credentials that allow pricing:GetProducts. {_LEFT}"
        ) from error


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
            f"expected some of each. Is the region's name right? {_LEFT}"
        )
    return RegionPrices(
        as_of, SOURCE, gp3["gp3"], *({k: v for k, v in each.items() if k in INSTANCES} for each in (ec2, emr))
    )


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
    """Yield a product's prices on demand, without those that are nothing, such as of a free tier."""
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            if price := float(dimension["pricePerUnit"].get("USD", 0)):
                yield price
