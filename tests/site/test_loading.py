"""No relation is loaded by touching it, whichever way the object came into being."""

from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import FieldFetchBlocked
from django.db import models
from django.db.models import FETCH_RAISE, Model
from django.db.models.signals import post_init
from django.test.utils import isolate_apps

from apps.models import Model as OurModel
from apps.notifications.kinds import Announcement
from apps.notifications.models import Notification
from apps.notifications.services import notify
from apps.profiles.models import Profile
from tests.conftest import User

MODELS = [
    model for config in apps.get_app_configs() if config.name.startswith("apps.") for model in config.get_models()
]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_one_of_ours(model: type[Model]) -> None:
    assert issubclass(model, OurModel)
    for manager in (model._default_manager, model._base_manager):
        assert manager.all()._fetch_mode is FETCH_RAISE  # type: ignore[attr-defined]


def test_a_loaded_object_blocks(alice: User, bob: User) -> None:
    notify([alice], Announcement("Hello"), actor=bob)
    notification = Notification.objects.get()
    with pytest.raises(FieldFetchBlocked):
        notification.actor  # noqa: B018
    with pytest.raises(FieldFetchBlocked):
        notification.recipient  # noqa: B018


def test_an_object_made_in_code_blocks(alice: User) -> None:
    with pytest.raises(FieldFetchBlocked):
        Notification(recipient_id=alice.pk).recipient  # noqa: B018
    with pytest.raises(FieldFetchBlocked):
        alice.profile  # noqa: B018


def test_what_was_loaded_on_purpose_is_there(alice: User, bob: User) -> None:
    notify([alice], Announcement("Hello"), actor=bob)
    actor = Notification.objects.with_actor().get().actor
    assert actor is not None
    assert actor.display_name == "Bob"


@pytest.fixture
def constructed(monkeypatch: pytest.MonkeyPatch) -> list[type[Model]]:
    """The models whose constructor was called."""
    called: list[type[Model]] = []
    construct = Model.__init__

    def note(self: Model, *args: Any, **kwargs: Any) -> None:
        called.append(type(self))
        construct(self, *args, **kwargs)

    monkeypatch.setattr(Model, "__init__", note)
    return called


def test_loading_is_as_django_does_it(alice: User, bob: User, constructed: list[type[Model]]) -> None:
    """But without the constructor, which would only set the same attributes."""
    notify([alice], Announcement("Hello"), actor=bob)
    constructed.clear()
    for model in (User, Profile, Notification):
        loaded = model.objects.first()
        assert constructed == []
        assert loaded
        values = [getattr(loaded, field.attname) for field in model._meta.concrete_fields]
        names = [field.attname for field in model._meta.concrete_fields]
        plain = super(OurModel, model).from_db("default", names, values, fetch_mode=FETCH_RAISE)  # type: ignore[misc]
        assert constructed == [model]
        assert loaded == plain
        for one in (loaded, plain):
            one.__dict__["_state"] = one._state.__dict__
        assert loaded.__dict__ == plain.__dict__
        constructed.clear()


def test_what_was_not_loaded_is_deferred(alice: User) -> None:
    alice = User.objects.only("email").get()
    assert alice.get_deferred_fields() == {field.attname for field in User._meta.concrete_fields} - {"id", "email"}


def test_a_change_is_saved(alice: User) -> None:
    loaded = User.objects.get()
    loaded.email = "changed@example.com"
    loaded.save()
    assert User.objects.get().email == "changed@example.com"


def test_who_wants_to_know_of_each_object_is_told(alice: User, constructed: list[type[Model]]) -> None:
    told = []

    def note(instance: User, **_: object) -> None:
        told.append(instance)

    post_init.connect(note, sender=User)
    try:
        assert User.objects.get() in told
    finally:
        post_init.disconnect(note, sender=User)
    assert constructed


@isolate_apps("tests")
def test_a_model_with_more_to_do() -> None:
    """With a constructor of its own, or with columns that do something when they are set."""

    class Measured(OurModel):
        length = models.IntegerField()

        class Meta:
            app_label = "tests"

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.doubled = self.length * 2

    class Scan(OurModel):
        file = models.FileField()

        class Meta:
            app_label = "tests"

    assert Measured.from_db("default", ["id", "length"], [1, 21]).doubled == 42
    assert Scan.from_db("default", ["id", "file"], [1, "a.txt"]).file.name == "a.txt"
