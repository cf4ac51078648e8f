import subprocess
import sys
import time

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count

from apps.notifications.models import Inbox, Notification
from tests.conftest import User
from tests.processes import ROOT, environment, manage


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


def test_killed_in_the_middle_and_run_again_with_its_key(transactional_db: None) -> None:
    users = User.objects.bulk_create(User(email=f"user{number}@example.com") for number in range(8_000))
    command = ["notify", "--everyone", "--title", "Hello", "--key", "once"]
    process = subprocess.Popen([sys.executable, "manage.py", *command], cwd=ROOT, env=environment())
    deadline = time.monotonic() + 60
    while not (reached := Notification.objects.count()):
        assert time.monotonic() < deadline
    process.kill()
    process.wait()
    assert 1_000 <= reached < len(users)
    assert Notification.objects.count() % 1_000 == 0  # each batch is whole or not there

    manage(*command)

    assert manage(*command) == "Notified 0 users.\n"
    assert Notification.objects.count() == len(users)
    assert not Notification.objects.values("recipient").annotate(many=Count("*")).exclude(many=1).exists()
    assert Inbox.objects.filter(sequence=1, unread=1).count() == len(users)


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
