from dataclasses import dataclass

import pytest

from apps.notifications.kinds import Announcement, Content, NotificationKind, all_kinds, content_of, get_kind


@dataclass(frozen=True)
class CommentAdded(NotificationKind):
    label = "Comments on your posts"
    post_id: int
    excerpt: str = ""

    def content(self) -> Content:
        return Content("New comment", self.excerpt, f"/posts/{self.post_id}/")


def test_it_works() -> None:
    assert Announcement.code == "notifications.announcement"
    assert get_kind(CommentAdded.code) is CommentAdded
    assert CommentAdded in all_kinds()
    payload = CommentAdded(7, "Nice").payload()
    assert payload == {"post_id": 7, "excerpt": "Nice"}
    assert content_of(CommentAdded.code, payload) == Content("New comment", "Nice", "/posts/7/")


def test_a_field_that_code_no_longer_knows_is_passed_over() -> None:
    assert content_of(CommentAdded.code, {"post_id": 7, "colour": "red"}).url == "/posts/7/"


def test_a_notification_of_a_kind_that_is_gone_still_shows(caplog: pytest.LogCaptureFixture) -> None:
    assert content_of("shop.sold_out", {}) == Content("Notification")
    assert "shop.sold_out" in caplog.text


def test_a_payload_that_does_not_fit_still_shows(caplog: pytest.LogCaptureFixture) -> None:
    assert content_of(CommentAdded.code, {}) == Content("Notification")
    assert CommentAdded.code in caplog.text


def test_two_kinds_of_one_code_are_refused() -> None:
    with pytest.raises(TypeError, match=CommentAdded.code):
        type("Other", (NotificationKind,), {"code": CommentAdded.code})
