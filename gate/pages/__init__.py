"""Pages for people: rendered here, made live by small modules, served under a policy that lets nothing else in."""

from gate.pages.closed_port import closed_page, opens_page
from gate.pages.routes import add_page_routes, missing_page, wants_page

__all__ = ["add_page_routes", "closed_page", "missing_page", "opens_page", "wants_page"]
