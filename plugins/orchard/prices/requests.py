"""Requests: what S3 takes for being asked, by the list of prices."""

from collections.abc import Mapping

from orchard.prices.price_list import GET, LIST, price_list

_PRICES = {"LIST": LIST, "GET": GET, "HEAD": GET}  # AWS bills a HEAD as a GET


def request_dollars(region: str, requests: Mapping[str, int]) -> float | None:
    """Price requests, counted by their kind; None where the list has no price."""
    part = price_list().get(region)
    of_s3 = part.s3 if part else {}
    prices = {kind: of_s3.get(_PRICES[kind]) for kind, count in requests.items() if count}
    known = [requests[kind] * price / 1000 for kind, price in prices.items() if price is not None]
    return sum(known) if len(known) == len(prices) else None
