"""Assertions of the conformance suite explain themselves, although its module is no test module."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.server.engine.conformance")
