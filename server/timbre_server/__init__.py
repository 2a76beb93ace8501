"""Timbre's inference server: text and a voice in, speech out, over OpenAI's own HTTP API.

The law of the package, from the door inwards; an arrow may be followed downwards only, and siblings that
are joined by ``|`` do not know each other (``.importlinter`` enforces it)::

    __main__ > app > api > service > ( batching | voicecache | engine | store )
             > ports > ( audio | telemetry ) > ( domain | settings ) > errors

``app`` is the only module that wires adapters to ports.  ``service`` holds the use cases and knows ports
only.  What both sides of Timbre agree on (names, ports, metric specs) lives in ``timbre_contract``.
"""
