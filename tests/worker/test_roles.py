"""Which role serves which queues."""

import pytest

from activities.temporal import channel_queue, orchestrator_queue
from notifications.statuses import Channel, NotificationType
from worker.composition import channels_of
from worker.roles import Role, parse_roles, queues_of

TABLE = {
    Role.ORCHESTRATOR: ["orchestrator"],
    Role.PUSH: ["channel-push"],
    Role.EMAIL: ["channel-email"],
    Role.SMS: ["channel-sms"],
    Role.WHATSAPP: ["channel-whatsapp"],
    Role.BULK: ["orchestrator-bulk", "bulk-push", "bulk-email", "bulk-sms", "bulk-whatsapp"],
}


@pytest.mark.parametrize("role", Role)
def test_each_role_serves_its_queues(role: Role):
    assert [queue.name for queue in queues_of(role)] == TABLE[role]
    assert {queue.bulk for queue in queues_of(role)} == {role is Role.BULK}


@pytest.mark.parametrize("kind", NotificationType)
def test_every_queue_that_is_started_on_is_served_by_one_role(kind: NotificationType):
    served = [queue.name for role in Role for queue in queues_of(role)]
    for name in (orchestrator_queue(kind), *(channel_queue(channel, kind) for channel in Channel)):
        assert served.count(name) == 1


def test_no_role_means_all_and_each_counts_once():
    assert parse_roles([]) == tuple(Role)
    assert parse_roles(["sms", "push", "sms"]) == (Role.SMS, Role.PUSH)


def test_a_wrong_role_says_which_there_are():
    with pytest.raises(ValueError, match="'mail' is not a valid Role; the roles are orchestrator, push, email, sms"):
        parse_roles(["mail"])


def test_only_the_providers_of_the_roles_are_needed():
    assert channels_of([Role.ORCHESTRATOR]) == ()
    assert channels_of([Role.SMS, Role.PUSH]) == (Channel.PUSH, Channel.SMS)
    assert channels_of([Role.BULK]) == tuple(Channel)
