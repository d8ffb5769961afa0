"""Change one route among others. The service takes all of them at once, and tries them in order."""

from typing import TYPE_CHECKING

from operations.errors import SatboxError
from operations.routes import RouteInput, Routes, RouteShown

if TYPE_CHECKING:
    from satbox.client.client import Client


async def change_route(client: "Client", address: str | None, route: RouteInput, *, is_removed: bool) -> Routes:
    """Add a route, put another in the place of one with the same port, path and methods, or take it away. Raises not_owner,
    invalid_request when there is none to take away.
    """
    shown = await client.routes_list(address=address)
    if not shown.is_whole:  # what is not shown would be lost: this is to be its owner
        await client.prove()
        shown = await client.routes_list(address=address)
    if not shown.is_whole:
        raise SatboxError("not_owner", details={"address": shown.address})
    before = [RouteInput.model_validate(one.model_dump(exclude={"url", "origin"})) for one in shown.items]
    return await client.routes_set(address=address, routes=changed(before, route, is_removed=is_removed))


def same_route(one: RouteInput | RouteShown, other: RouteInput | RouteShown) -> bool:
    """Whether one takes the other's place."""
    return _key(one) == _key(other)


def _key(route: RouteInput | RouteShown) -> tuple[int, str, tuple[str, ...]]:
    return route.port, route.path, tuple(sorted(route.methods))


def changed(routes: list[RouteInput], route: RouteInput, *, is_removed: bool) -> list[RouteInput]:
    """With the one in the other's place. The first that fits decides, so that a new one goes before those with a `*` that
    would take all its calls. Raises invalid_request.
    """
    same = [number for number, one in enumerate(routes) if same_route(one, route)]
    if is_removed:
        if not same:
            raise SatboxError(
                "invalid_request", f"There is no route for {route.path} on port {route.port} with these methods.",
                hint="A route is known by its port, path and methods: list them.",
            )  # fmt: skip
        return [one for one in routes if not same_route(one, route)]
    if same:
        return [route if number == same[0] else one for number, one in enumerate(routes)]
    wider = [number for number, one in enumerate(routes) if _is_wider(one, route)]
    place = wider[0] if wider else len(routes)
    return [*routes[:place], route, *routes[place:]]


def _is_wider(one: RouteInput, route: RouteInput) -> bool:
    covers = one.path.endswith("*") and route.path.rstrip("*").startswith(one.path[:-1])
    return one.port == route.port and covers and one.path != route.path
