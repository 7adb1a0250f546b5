from orchard.prices.requests import request_dollars


def test_requests() -> None:
    assert request_dollars("eu-west-1", {"LIST": 10_000}) == 0.05
    assert request_dollars("eu-central-1", {"LIST": 1_000, "GET": 1_000, "HEAD": 1_000}) == 0.0054 + 2 * 0.00043
    assert request_dollars("eu-west-1", {}) == 0


def test_a_price_that_is_not_known_is_left_open() -> None:
    assert request_dollars("eu-north-1", {"LIST": 1}) is None
    assert request_dollars("us-east-1", {"LIST": 1}) is None
    assert request_dollars("us-east-1", {"LIST": 0}) == 0
