"""Pages for people: rendered here, made live by small modules, served under a policy that lets nothing else in."""

from gate.pages.routes import add_page_routes, missing_page, wants_page

__all__ = ["add_page_routes", "missing_page", "wants_page"]
