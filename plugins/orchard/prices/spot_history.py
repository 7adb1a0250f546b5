"""Spot_history: what spare capacity was paid for of late, asked of EC2; the Price List API has no such prices.

A spot price moves by the hour and differs between availability zones, so one number is a mean: over the time of each
zone, then over the zones, since EMR takes nodes where there is room and not where they are cheapest.
See https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html.
"""

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from orchard.instances import INSTANCES
from orchard.prices.asking import told

DAYS = 7  # of prices that count
SOURCE = f"EC2's DescribeSpotPriceHistory, means of {DAYS} days over the availability zones"


def ask(region: str, until: datetime) -> dict[str, float]:
    """Ask for a region's prices, with the credentials that AWS' own tools would take.

    Raises
    ------
    PriceListError
        There are no credentials, AWS refuses them, or it cannot be reached.
    """
    import boto3

    with told("EC2", "ec2:DescribeSpotPriceHistory"):
        return fetch(boto3.client("ec2", region_name=region), region, until)


def fetch(client: Any, region: str, until: datetime, types: Iterable[str] = INSTANCES) -> dict[str, float]:
    """Ask for the mean price of each type that has one, in dollars an hour.

    Parameters
    ----------
    client
        boto3's, of ``ec2``.
    until : datetime
        Now. What was paid in the `DAYS` before it counts.
    """
    since = until - timedelta(days=DAYS)
    pages = client.get_paginator("describe_spot_price_history").paginate(
        InstanceTypes=sorted(types), ProductDescriptions=["Linux/UNIX"], StartTime=since, EndTime=until
    )
    zones: defaultdict[str, defaultdict[str, list[tuple[datetime, float]]]] = defaultdict(lambda: defaultdict(list))
    for page in pages:
        for one in page["SpotPriceHistory"]:
            # Local Zones (eu-central-1-ham-1a) answer, too, and no cluster stands there.
            if re.fullmatch(f"{region}[a-z]", one["AvailabilityZone"]):
                moment = one["Timestamp"].astimezone(UTC)
                zones[one["InstanceType"]][one["AvailabilityZone"]].append((moment, float(one["SpotPrice"])))
    return {
        name: round(statistics.fmean(mean(sorted(each), since, until) for each in by_zone.values()), 6)
        for name, by_zone in zones.items()
    }


def mean(changes: Sequence[tuple[datetime, float]], since: datetime, until: datetime) -> float:
    """Return the mean over time of a price that changed when `changes` say, oldest first; one at least.

    EC2 tells the change before `since`, too; before the first of a type that is new, its first price counts.
    """
    moments = [max(moment, since) for moment, _ in changes]
    spans = [(later - earlier).total_seconds() for earlier, later in pairwise([since, *moments[1:], until])]
    total = sum(spans)
    return sum(span * price for span, (_, price) in zip(spans, changes, strict=True)) / total
