"""Reading requests and paging replies, the same way on every service."""

import json

from aiohttp import web

from devnet.records import JsonObject

PAGE_MAX = 50
# Whom and what a request turned out to be about, for faults that pick an address or a transaction.
ADDRESSES = web.RequestKey("addresses", tuple[str, ...])
TXID = web.RequestKey("txid", str)


async def json_body(request: web.Request) -> JsonObject:
    """The request's JSON object; 400 when it is none. The application bounds its size."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise bad_request("body is not JSON") from error
    if not isinstance(body, dict):
        raise bad_request("body is not a JSON object")
    return body


def bad_request(message: str) -> web.HTTPBadRequest:
    """A 400 in the devnet's own words."""
    return web.HTTPBadRequest(text=json.dumps({"error": message}), content_type="application/json")


def query_int(request: web.Request, name: str, default: int, limit: int) -> int:
    """A non-negative integer from the query string, at most `limit`."""
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise bad_request(f"{name} is not a number")
    return min(int(text), limit)


def page(request: web.Request, results: list[JsonObject]) -> web.Response:
    """A page of results as the Stacks API lists them."""
    limit, offset = query_int(request, "limit", 20, PAGE_MAX), query_int(request, "offset", 0, 10**6)
    body = {"limit": limit, "offset": offset, "total": len(results), "results": results[offset : offset + limit]}
    return web.json_response(body)
