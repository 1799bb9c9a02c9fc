"""The interface for other programs: webhooks that reach us."""

from reconciler.web.api.application import app
from reconciler.web.api.endpoints import prepare
from reconciler.web.api.listening import server

__all__ = ["app", "prepare", "server"]
