"""Asking: one sentence of what AWS, or botocore before it, says when prices are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

LEFT = "The list is left as it was."


class PriceListError(RuntimeError):
    """AWS did not answer for prices, or what cannot be made sense of."""


@contextmanager
def told(whom: str, action: str) -> Iterator[None]:
    """Say why it did not answer, and what to do.

    Parameters
    ----------
    whom, action : str
        Who is asked, and what the credentials must allow.

    Raises
    ------
    PriceListError
        There are no credentials, AWS refuses them, or it cannot be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

    try:
        yield
    except ClientError as error:
        raise PriceListError(
            f"{whom} refused: {error}. Take credentials that are valid and allow {action}. {LEFT}"
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise PriceListError(
            f"{whom} cannot be reached: {error}. Ask where there is a way to the internet. {LEFT}"
        ) from error
    except BotoCoreError as error:
        raise PriceListError(
            f"{whom} could not be asked: {error}. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY, to credentials that allow {action}. {LEFT}"
        ) from error
