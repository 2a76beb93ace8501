"""Finished speech: what was said once is not made again.

- ``keys``: which two requests would sound the same.  ``takes``, ``codec``: what is kept of speech, and as which bytes.
- ``english``: which texts are like another one, where somebody wants to know.
- ``memory``: what is in this process.  ``shared_tier``, ``synthesis_lease``: what all pods share, and who makes what.
- ``privacy``, ``sealing``: what is not kept, and how that which is shared is made unreadable.  ``link_sealing``, ``secret_keys``:
  the same of what links say, and with which keys.
- ``performance``, ``flights``: how many hear one speech while it is made, and what happens when they leave.
- ``hearings``, ``audience``, ``arrivals``: what one listener gets, and who still listens to, or waits for, what was erased.
- ``cache``: all of these as ``ports.Results``.
"""

from timbre_server.resultcache.cache import ResultCache
from timbre_server.resultcache.english import EnglishWords
from timbre_server.resultcache.keys import ResultKeys
from timbre_server.resultcache.memory import ResultMemory
from timbre_server.resultcache.shared_tier import SharedResultTier

__all__ = ["EnglishWords", "ResultCache", "ResultKeys", "ResultMemory", "SharedResultTier"]
