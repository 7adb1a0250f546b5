"""The server's addresses."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from local.emr import calls, instance_calls, protocol, security_calls, setting_calls
from local.emr.emr import Emr, unanswered
from local.emr.errors import EmrError
from local.emr.faults import Fault
from local.emr.house import House
from local.emr.iam import IamError
from local.emr.pages import Pages

CALLS = calls.CALLS | instance_calls.CALLS | setting_calls.CALLS | security_calls.CALLS


class NoBrowsers:
    """Refuses what a web page sends: this server runs commands, and nobody logs in to it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from_page = any(name == b"origin" for name, _ in scope.get("headers", ()))
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD") and from_page:
            refusal = JSONResponse({"message": "The local EMR takes no requests from web pages."}, 403)
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class Server:
    """EMR over HTTP."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.emr = Emr(house)
        self.pages = Pages(self.emr)

    def app(self) -> Starlette:
        routes = [
            Route("/", self.call, methods=["POST"]),
            Route("/_health", self.health),
            Route("/_clusters", self.clusters),
            Route("/_faults", self.add_faults, methods=["POST"]),
            Route("/_faults", self.clear_faults, methods=["DELETE"]),
            *self.pages.routes(),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan, middleware=[Middleware(NoBrowsers)])

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self.emr.resume()
        yield
        await asyncio.gather(self.emr.stop(), self.pages.history.stop())

    async def call(self, request: Request) -> Response:
        """Answer one call of EMR's API."""
        target = request.headers.get("x-amz-target", "")
        operation = target.removeprefix(protocol.TARGET)
        try:
            if operation == target or operation not in protocol.operations():
                raise EmrError("UnknownOperationException", f"EMR has no call {target!r} (header X-Amz-Target).")
            return _answer(200, await self._faulty(operation, request))
        except EmrError as error:
            body = {"__type": error.code, "message": error.message}
            return _answer(error.status, body | {"ErrorCode": error.code, "Message": error.message})

    async def _faulty(self, operation: str, request: Request) -> dict[str, Any]:
        """Do a call, or let happen what a rule wants."""
        body = await request.body()
        fault = self.house.faults.take("call", operation)
        if fault and fault.when == "before":
            await self._happen(fault, request)
        answer = await self._do(operation, body, request.headers.get("authorization", ""))
        if fault and fault.when == "after":
            await self._happen(fault, request)
        return answer

    async def _do(self, operation: str, body: bytes, authorization: str) -> dict[str, Any]:
        if operation not in CALLS:
            raise unanswered(operation)
        asked = protocol.parse(operation, body)
        try:
            await asyncio.to_thread(self.house.access.check, authorization, operation, asked, self.emr.clusters)
        except IamError as error:
            raise EmrError("InternalServerException", str(error), 500) from error
        return protocol.shape_answer(operation, CALLS[operation](self.emr, asked))

    async def _happen(self, fault: Fault, request: Request) -> None:
        if fault.do == "throttle":
            raise EmrError("ThrottlingException", fault.message or "Rate exceeded")
        if fault.do == "error":
            raise EmrError("InternalServerException", fault.message or "An internal error occurred.", 500)
        if fault.do == "deny":
            raise EmrError("AccessDeniedException", fault.message or "You are not authorized to perform this.")
        await self.house.faults.hold_up(fault)
        if fault.do == "drop":
            request.scope["transport"].abort()
            await asyncio.sleep(0.01)  # until the server knows, and sends nothing
            raise EmrError("Dropped", "The connection is closed.")

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def clusters(self, _: Request) -> Response:
        """Give all that is known of all clusters."""
        return JSONResponse([cluster.to_json() for cluster in self.emr.clusters.values()])

    async def add_faults(self, request: Request) -> Response:
        """Take rules; all of them, or none when one makes no sense."""
        try:
            rules = json.loads(await request.body())
            self.house.faults.add([Fault.from_json(rule) for rule in (rules if isinstance(rules, list) else [rules])])
        except ValueError as error:
            return JSONResponse({"message": str(error)}, 400)
        self.emr.apply_faults()
        return JSONResponse({"rules": len(self.house.faults.rules)})

    async def clear_faults(self, _: Request) -> Response:
        self.house.faults.clear()
        return JSONResponse({"rules": 0})


def _answer(status: int, body: dict[str, Any]) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(json.dumps(body), status, headers, protocol.CONTENT_TYPE)
