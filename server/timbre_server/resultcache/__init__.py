"""Finished audio: what was said once is not made again.

- ``keys``: which two requests would give the same audio.
"""
