"""Events: posted once, counted afterwards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from timbre_operator.cluster.announcements import Announcements
from timbre_operator.ports import EventNote

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SERVICE: dict[str, Any] = {
    "apiVersion": "timbre.dev/v1alpha1",
    "kind": "VoiceService",
    "metadata": {"name": "narrator", "namespace": "studio", "uid": "u", "resourceVersion": "9"},
}
FAILED = EventNote("Warning", "ImagePullFailed", "narrator-1: no such image")


def test_the_first_one_is_a_whole_event_about_the_object() -> None:
    posting = Announcements("me").posting(SERVICE, FAILED, NOW)
    event = posting.manifest
    assert event["metadata"] == {"name": posting.name, "namespace": "studio"}
    assert event["involvedObject"]["uid"] == "u"
    assert (event["type"], event["reason"], event["message"]) == ("Warning", FAILED.reason, FAILED.message)
    assert (event["count"], event["lastTimestamp"]) == (1, "2026-01-02T03:04:05Z")


def test_the_same_words_again_raise_its_count() -> None:
    announcements = Announcements("me")
    first = announcements.posting(SERVICE, FAILED, NOW)
    second = announcements.posting(SERVICE, FAILED, NOW)
    assert second.name == first.name
    assert second.manifest == {"count": 2, "lastTimestamp": "2026-01-02T03:04:05Z"}


def test_other_words_are_another_event() -> None:
    announcements = Announcements("me")
    first = announcements.posting(SERVICE, FAILED, NOW)
    assert announcements.posting(SERVICE, EventNote("Normal", "Ready", "x"), NOW).name != first.name


def test_two_processes_do_not_count_together() -> None:
    names = {Announcements(who).posting(SERVICE, FAILED, NOW).name for who in ("a", "b")}
    assert len(names) == 2


def test_one_that_the_api_server_forgot_is_posted_anew() -> None:
    announcements = Announcements("me")
    name = announcements.posting(SERVICE, FAILED, NOW).name
    announcements.forget(name)
    assert announcements.posting(SERVICE, FAILED, NOW).count == 1


def test_a_message_fits_into_an_event() -> None:
    event = Announcements("me").posting(SERVICE, EventNote("Normal", "A", "ä" * 1000), NOW).manifest
    assert len(event["message"].encode()) <= 1024


def test_what_is_remembered_is_bounded() -> None:
    announcements = Announcements("me")
    for number in range(1001):
        announcements.posting(SERVICE, EventNote("Normal", "A", str(number)), NOW)
    assert announcements.posting(SERVICE, EventNote("Normal", "A", "0"), NOW).count == 1
    assert announcements.posting(SERVICE, EventNote("Normal", "A", "1000"), NOW).count == 2
