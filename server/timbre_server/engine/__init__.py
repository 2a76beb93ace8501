"""Engines and their owner: who turns text and a voice into speech, and on which thread?

Each engine is a module or folder of its own that implements ``ports.Engine`` and passes the one conformance
suite; ``worker`` is the only place that calls one.
"""
