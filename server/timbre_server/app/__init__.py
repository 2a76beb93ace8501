"""The composition root: which adapter stands behind which port, and how does the process start and end?"""

from timbre_server.app.running import serve

__all__ = ["serve"]
