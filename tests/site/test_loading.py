"""No relation is loaded by touching it, whichever way the object came into being."""

import pytest
from django.apps import apps
from django.core.exceptions import FieldFetchBlocked
from django.db.models import FETCH_RAISE, Model

from apps.models import Model as OurModel
from apps.notifications.kinds import Announcement
from apps.notifications.models import Notification
from apps.notifications.services import notify
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
