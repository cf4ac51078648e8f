import pytest
from django.core.management import CommandError, call_command

from apps.notifications.models import Notification
from tests.conftest import User


def test_it_works(alice: User, bob: User, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--title", "Hello", "--body", "How are you?", "--url", "/", "--actor", bob.email]
    call_command("notify", "ALICE@example.com", *options)
    notification = Notification.objects.get()
    assert (notification.recipient_id, notification.actor_id) == (alice.pk, bob.pk)
    assert notification.content == ("Hello", "How are you?", "/")
    assert capsys.readouterr().out == "Notified 1 user.\n"


def test_everyone_who_is_active(alice: User, bob: User) -> None:
    bob.is_active = False
    bob.save()
    call_command("notify", "--everyone", "--title", "Hello")
    assert Notification.objects.get().recipient_id == alice.pk


@pytest.mark.parametrize(
    "arguments",
    [
        ["--title", "To whom?"],
        ["--everyone", "alice@example.com", "--title", "Both"],
        ["nobody@example.com", "--title", "Hello"],
        ["alice@example.com", "--title", "Hello", "--actor", "nobody@example.com"],
        ["alice@example.com", "--title", "Hello", "--url", "https://evil.example/"],
    ],
)
def test_what_makes_no_sense_is_refused(alice: User, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("notify", *arguments)
    assert not Notification.objects.exists()
