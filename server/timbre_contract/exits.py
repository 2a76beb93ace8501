"""How does a server's process end, and which of its last words say why?"""

from typing import Final

EXIT_FAILED: Final = 1
"""The engine did not start, or requests had to be cut off at the end."""
EXIT_CONFIGURATION: Final = 2
"""The settings cannot work, as with a wrong command line."""

ENGINE_FAILED: Final = "the engine did not start"
"""Begins the last line that is logged where a model cannot be loaded."""
