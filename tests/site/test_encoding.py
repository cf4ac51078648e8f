"""JSON is written fast, and whatever is in it can be written."""

import json
from typing import Any

import pytest
from django.utils.safestring import mark_safe

from config.graphql.encoding import write_json


def test_it_works() -> None:
    value = {"data": {"n": [1, 2.5, None, True, 'ü ☃ \u2028 " \\ \n'], "big": 2**70}}
    written = write_json(value)
    assert json.loads(written) == value
    assert b" :" not in written
    assert "☃".encode() in written


@pytest.mark.parametrize("value", ["half of a pair: \ud800", mark_safe("<b>")])
def test_what_is_rare(value: Any) -> None:
    assert json.loads(write_json({"a": [value]})) == {"a": [value]}


def test_what_is_none() -> None:
    with pytest.raises(TypeError):
        write_json(object())
