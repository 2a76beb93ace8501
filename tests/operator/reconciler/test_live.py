"""What is known of the cluster, in whatever order it is told."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from timbre_operator.kinds import DEPLOYMENT, POD
from timbre_operator.ports import Listing, ServiceKey
from timbre_operator.reconciler.live import Live

KEY = ServiceKey("studio", "narrator")
MARKS = {"app.kubernetes.io/name": "timbre", "app.kubernetes.io/instance": "narrator"}


def a_thing(
    kind: str, name: str, version: int, *, uid: str = "u", labels: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "studio",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": MARKS if labels is None else labels,
        },
    }


def a_deployment(version: int, **changes: Any) -> dict[str, Any]:
    return a_thing("Deployment", "narrator", version, **changes)


def _version(live: Live) -> str:
    found = live.find("Deployment", "studio", "narrator")
    return "gone" if found is None else str(found["metadata"]["resourceVersion"])


def test_things_are_sorted_by_what_they_are() -> None:
    live = Live()
    live.put({"kind": "VoiceService", "metadata": {"name": "narrator", "namespace": "studio", "resourceVersion": "1"}})
    for number, kind in enumerate(("Pod", "Deployment", "PersistentVolumeClaim"), 2):
        live.put(a_thing(kind, "narrator", number))
    assert list(live.services()) == [KEY]
    assert [item["kind"] for item in live.children(KEY)] == ["Deployment"]
    assert [item["kind"] for item in live.pods(KEY)] == ["Pod"]
    assert [item["kind"] for item in live.claims(KEY)] == ["PersistentVolumeClaim"]


def test_an_older_word_changes_nothing() -> None:
    live = Live()
    assert live.put(a_deployment(10))
    assert not live.put(a_deployment(9))
    assert not live.put(a_deployment(10))
    assert _version(live) == "10"


def test_versions_are_numbers_and_not_texts() -> None:
    live = Live()
    live.put(a_deployment(9))
    assert live.put(a_deployment(10))


def test_what_was_removed_does_not_come_back_by_an_older_word() -> None:
    live = Live()
    live.put(a_deployment(10))
    live.gone(a_deployment(12))
    assert not live.put(a_deployment(11))
    assert _version(live) == "gone"


def test_what_was_made_anew_is_not_removed_by_the_end_of_the_old_one() -> None:
    live = Live()
    live.put(a_deployment(10, uid="old"))
    live.put(a_deployment(20, uid="new"))
    assert not live.gone(a_deployment(15, uid="old"))
    assert _version(live) == "20"


def test_a_list_removes_what_it_has_not_and_is_not_newer() -> None:
    live = Live()
    live.put(a_deployment(10))
    live.put(a_thing("Deployment", "younger", 30))
    news = live.replace(DEPLOYMENT, Listing((), "20"))
    assert news == {("Deployment", "studio", "narrator")}
    assert live.find("Deployment", "studio", "younger") is not None


def test_a_list_of_one_namespace_says_nothing_about_others() -> None:
    live = Live()
    live.put(a_deployment(10))
    assert live.replace(DEPLOYMENT, Listing((), "20"), ("elsewhere",)) == set()
    assert _version(live) == "10"


def test_a_list_of_one_kind_says_nothing_about_others() -> None:
    live = Live()
    live.put(a_deployment(10))
    live.replace(POD, Listing((), "20"))
    assert _version(live) == "10"


def test_a_list_that_says_what_is_known_is_no_news() -> None:
    live = Live()
    live.put(a_deployment(10))
    assert live.replace(DEPLOYMENT, Listing((a_deployment(10),), "20")) == set()


def test_whoever_listens_hears_of_news_only() -> None:
    heard: list[ServiceKey] = []
    live = Live(lambda key, _kind: heard.append(key))
    live.put(a_deployment(10))
    live.put(a_deployment(10))
    live.gone(a_deployment(11))
    live.gone(a_deployment(11))
    assert heard == [KEY, KEY]


def test_whoever_listens_hears_what_it_was() -> None:
    heard: list[str] = []
    live = Live(lambda _key, kind: heard.append(kind))
    live.put(a_deployment(10))
    live.put(a_thing("Pod", "narrator-1", 11))
    assert heard == ["Deployment", "Pod"]


def test_what_we_did_ourselves_is_no_news() -> None:
    heard: list[ServiceKey] = []
    live = Live(lambda key, _kind: heard.append(key))
    live.put(a_deployment(10), quietly=True)
    live.put(a_deployment(10))
    assert heard == []


def test_whoever_gets_another_owner_is_news_to_both() -> None:
    heard: list[ServiceKey] = []
    live = Live(lambda key, _kind: heard.append(key))
    live.put(a_deployment(10))
    live.put(a_deployment(11, labels={**MARKS, "app.kubernetes.io/instance": "other"}))
    assert set(heard[1:]) == {KEY, ServiceKey("studio", "other")}
    assert live.children(KEY) == ()
    assert len(live.children(ServiceKey("studio", "other"))) == 1


def test_what_we_removed_is_on_its_way_out_until_more_is_heard() -> None:
    live = Live()
    live.put(a_deployment(10))
    live.leave(a_deployment(10))
    (leaving,) = live.children(KEY)
    assert leaving["metadata"]["deletionTimestamp"]
    live.put(a_deployment(11))
    (there,) = live.children(KEY)
    assert "deletionTimestamp" not in there["metadata"]


def test_what_was_made_anew_meanwhile_does_not_leave() -> None:
    live = Live()
    live.put(a_deployment(10, uid="new"))
    live.leave(a_deployment(9, uid="old"))
    (there,) = live.children(KEY)
    assert "deletionTimestamp" not in there["metadata"]


_WORDS = st.permutations([("put", version) for version in range(1, 8)] + [("gone", 4)])


@given(words=_WORDS)
def test_whatever_the_order_the_newest_word_holds(words: list[tuple[str, int]]) -> None:
    live = Live()
    for word, version in words:
        (live.put if word == "put" else live.gone)(a_deployment(version))
    assert _version(live) == "7"


@given(words=st.permutations([("put", version) for version in range(1, 8)] + [("gone", 8)]))
def test_whatever_the_order_what_was_removed_last_is_gone(words: list[tuple[str, int]]) -> None:
    live = Live()
    for word, version in words:
        (live.put if word == "put" else live.gone)(a_deployment(version))
    assert _version(live) == "gone"
    assert live.children(KEY) == ()
