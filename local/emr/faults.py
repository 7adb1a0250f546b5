"""What a test wants to go wrong: rules, posted as JSON to ``/_faults``."""

import asyncio
import random
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

DOES = {
    "call": ("throttle", "error", "deny", "delay", "drop"),
    "step": ("fail", "delay", "kill"),
    "bootstrap": ("fail",),
    "cluster": ("terminate_with_errors",),
}
CODES = ("INTERNAL_ERROR", "VALIDATION_ERROR", "INSTANCE_FAILURE", "INSTANCE_FLEET_TIMEOUT")


@dataclass
class Fault:
    """One rule.

    Attributes
    ----------
    kind, pattern : str
        What it is about (``call``, ``step``, ``bootstrap``, ``cluster``), and a regular expression that the whole
        name of that must match.
    do : str
        What happens, see `DOES`.
    when : str
        Whether a call fails before it did anything, or after it did all.
    times : int or None
        How often; None: always.
    share : float
        How probable it is each time.
    seconds : float
        How long a delay is, or how soon a step is killed or a cluster ended.
    """

    kind: str
    pattern: str
    do: str
    when: str = "before"
    times: int | None = None
    share: float = 1.0
    seconds: float = 0.0
    code: str = "INSTANCE_FAILURE"
    message: str = ""

    @classmethod
    def from_json(cls, rule: Any) -> "Fault":
        """Read a rule.

        Raises
        ------
        ValueError
            When it makes no sense.
        """
        if not isinstance(rule, dict):
            raise ValueError(f"A fault is a JSON object, not {rule!r}.")
        kinds = [kind for kind in DOES if kind in rule]
        if len(kinds) != 1:
            raise ValueError(f"A fault names one of {', '.join(DOES)}; this one has {', '.join(rule) or 'nothing'}.")
        rest = {key: value for key, value in rule.items() if key != kinds[0]}
        if unknown := set(rest) - {"do", "when", "times", "share", "seconds", "code", "message"}:
            raise ValueError(f"A fault has no {', '.join(sorted(unknown))}: {rule!r}")
        if rest.get("do") not in DOES[kinds[0]]:
            raise ValueError(f"A {kinds[0]} can {', '.join(DOES[kinds[0]])}, not {rest.get('do')!r}.")
        if rest.get("when", "before") not in ("before", "after"):
            raise ValueError(f"when is {rest['when']!r}, expected 'before' or 'after'.")
        if rest.get("code", CODES[0]) not in CODES:
            raise ValueError(f"code is {rest['code']!r}, expected one of {', '.join(CODES)}.")
        for key in ("times", "share", "seconds"):
            if not isinstance(rest.get(key, 0), int | float):
                raise ValueError(f"{key} is {rest[key]!r}, expected a number.")
        try:
            re.compile(rule[kinds[0]])
        except (re.error, TypeError) as error:
            raise ValueError(f"{kinds[0]} is {rule[kinds[0]]!r}, no regular expression: {error}") from error
        return cls(kinds[0], rule[kinds[0]], **rest)


class Faults:
    """All rules, with one source of chance."""

    def __init__(self, seed: int, throttle: float) -> None:
        self._random = random.Random(seed)
        self._throttle = throttle
        self.rules: list[Fault] = []
        self._forgotten = asyncio.Event()

    def add(self, rules: Sequence[Fault]) -> None:
        self.rules += rules

    def clear(self) -> None:
        """Forget all rules; what one of them holds up goes on."""
        self.rules.clear()
        self._forgotten.set()
        self._forgotten = asyncio.Event()

    async def hold_up(self, fault: Fault) -> None:
        """Wait for as long as a rule says, or until it is forgotten."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._forgotten.wait(), fault.seconds)

    def take(self, kind: str, name: str) -> Fault | None:
        """Give the first rule that is about this and happens now; it has happened then."""
        for rule in self.rules:
            if rule.kind != kind or rule.times == 0 or not re.fullmatch(rule.pattern, name):
                continue
            if rule.share < 1 and self._random.random() >= rule.share:
                continue
            if rule.times is not None:
                rule.times -= 1
            return rule
        if kind == "call" and self._throttle and self._random.random() < self._throttle:
            return Fault("call", name, "throttle")
        return None
