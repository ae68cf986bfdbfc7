"""What people do to sendings: try them again, leave a field out of one, or never send them."""

import pytest

from crm_sync import by_hand
from crm_sync.models import Delivery
from tests.crm_sync.screens import Demo
from tests.crm_sync.sending import START

pytestmark = pytest.mark.django_db


def test_a_field_is_left_out_of_the_chosen_leads_only() -> None:
    demo = Demo()
    chosen, other = (demo.owe(state="rejected", field="job_title") for _ in range(2))
    assert by_hand.send_without([chosen.pk], "job_title", at=START) == 1
    chosen.refresh_from_db()
    other.refresh_from_db()
    assert (chosen.state, chosen.without, chosen.due_at) == ("waiting", ["job_title"], START)
    assert (other.state, other.without) == ("rejected", [])


def test_a_second_field_joins_the_first_and_none_is_named_twice() -> None:
    sent = Demo().owe(state="rejected", without=["phone"])
    for field in ("email", "phone", "email"):
        by_hand.send_without([sent.pk], field, at=START)
    sent.refresh_from_db()
    assert sent.without == ["phone", "email"]


def test_what_is_held_by_its_mapping_goes_out_without_the_field() -> None:
    sent = Demo().owe(state="held", held_reason="mapping_broken", strikes=9)
    assert by_hand.send_without([sent.pk], "job_title", at=START) == 1
    sent.refresh_from_db()
    assert (sent.state, sent.held_reason, sent.strikes) == ("waiting", "", 0)


@pytest.mark.parametrize("state", ["delivered", "cancelled"])
def test_what_is_there_or_was_given_up_is_left_alone(state: str) -> None:
    sent = Demo().owe(state=state)
    assert by_hand.send_without([sent.pk], "job_title", at=START) == 0
    assert by_hand.retry([sent.pk], at=START) == 0
    assert by_hand.cancel([sent.pk], at=START) == 0
    assert Delivery.objects.get().without == []
