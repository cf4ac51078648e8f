"""Every page of every model in the admin: a relation that it shows must be loaded there too."""

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from tests.conftest import User


@pytest.fixture
def staff(alice: User, client: Client) -> Client:
    alice.is_staff = alice.is_superuser = True
    alice.save()
    client.force_login(alice)
    return client


@pytest.mark.parametrize("model", admin.site._registry)
def test_it_works(model: type[Model], staff: Client) -> None:
    call_command("seed_demo", "--force", "--users", "2", "--notifications", "1")
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    pages = [reverse(f"{name}_changelist"), reverse(f"{name}_add")]
    if one := model._default_manager.first():
        pages += [reverse(f"{name}_{page}", args=[one.pk]) for page in ("change", "history", "delete")]
    for page in pages:
        assert staff.get(page).status_code in {200, 403}, page
    assert staff.get(pages[0]).status_code == 200
    assert staff.get(pages[0], {"q": "alice"}).status_code == 200


def test_a_visitor_signs_in_by_the_site_s_own_door(client: Client, transactional_db: None) -> None:
    answer = client.get("/admin/")
    assert answer.status_code == 302
    assert client.get(answer["Location"])["Location"].startswith("/accounts/login/")


def test_a_user_who_is_not_staff_stays_outside(alice: User, client: Client) -> None:
    client.force_login(alice)
    assert client.get("/admin/users/user/").status_code == 302
