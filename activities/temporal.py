"""Names that clients, workers and workflows share: task queues, search attributes, ids; and the connection."""

from dataclasses import replace

from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import CompositePayloadConverter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig

from notifications.statuses import Channel, NotificationType

ORCHESTRATOR = "orchestrator"
ORCHESTRATOR_BULK = "orchestrator-bulk"
RECONCILIATION = "tidings-reconciliation"  # the Schedule

NOTIFICATION_TYPE = SearchAttributeKey.for_keyword("NotificationType")
CHANNEL = SearchAttributeKey.for_keyword_list("Channel")
DELIVERY_STATUS = SearchAttributeKey.for_keyword("DeliveryStatus")
DEFINITION = SearchAttributeKey.for_keyword("Definition")
CAMPAIGN_ID = SearchAttributeKey.for_keyword("CampaignId")
RECIPIENT_REF = SearchAttributeKey.for_keyword("RecipientRef")
PROVIDER = SearchAttributeKey.for_keyword("Provider")
SEARCH_ATTRIBUTES = (NOTIFICATION_TYPE, CHANNEL, DELIVERY_STATUS, DEFINITION, CAMPAIGN_ID, RECIPIENT_REF, PROVIDER)

_PRIORITIES = {
    NotificationType.ALERT: 1,
    NotificationType.TRANSACTIONAL: 2,
    NotificationType.REMINDER: 3,
    NotificationType.PROMOTIONAL: 5,
}


def orchestrator_queue(notification_type: NotificationType) -> str:
    """Promotional workflows run with slots of their own."""
    return ORCHESTRATOR_BULK if notification_type is NotificationType.PROMOTIONAL else ORCHESTRATOR


def channel_queue(channel: Channel, notification_type: NotificationType) -> str:
    """Each channel is scaled, rate-limited and paused on its own; promotional sends never share a queue."""
    return bulk_queue(channel) if notification_type is NotificationType.PROMOTIONAL else f"channel-{channel}"


def bulk_queue(channel: Channel) -> str:
    """Where batches of campaigns are sent."""
    return f"bulk-{channel}"


def priority_key(notification_type: NotificationType) -> int:
    return _PRIORITIES[notification_type]


def notification_workflow_id(notification_id: object) -> str:
    return f"notification-{notification_id}"


def resend_workflow_id(notification_id: object, seq: int, round_number: int) -> str:
    return f"{notification_workflow_id(notification_id)}-resend-{seq}-{round_number}"


def import_workflow_id(import_id: object) -> str:
    return f"import-{import_id}"


def campaign_workflow_id(campaign_id: object, round_number: int) -> str:
    return f"campaign-{campaign_id}-{round_number}"


def campaign_resend_workflow_id(campaign_id: object, seq: int, round_number: int) -> str:
    return f"campaign-{campaign_id}-resend-{seq}-{round_number}"


def shard_workflow_id(campaign_id: object, round_number: int, first_seq: int) -> str:
    """`first_seq` within its wave, which is the number above its lower 32 bits."""
    wave, first = divmod(first_seq, 2**32)
    return f"{campaign_workflow_id(campaign_id, round_number)}-shard-{wave}-{first}"


_PYDANTIC = tuple(PydanticPayloadConverter().converters.values())


class SharedPayloadConverter(CompositePayloadConverter):
    """Pydantic's, keeping what it worked out about a type: each workflow makes a converter of its own."""

    def __init__(self) -> None:
        super().__init__(*_PYDANTIC)


DATA_CONVERTER = replace(pydantic_data_converter, payload_converter_class=SharedPayloadConverter)


async def connect(
    *, runtime: Runtime | None = None, lazy: bool = False, retry_config: RetryConfig | None = None
) -> Client:
    """Connect as the SDK's environment configuration says (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, TLS, API key).

    `retry_config` None: the SDK's, which gives a call up after 10 s.

    Raises:
        RuntimeError: the server does not answer.

    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    return await Client.connect(
        **config,
        data_converter=DATA_CONVERTER,
        runtime=runtime,
        lazy=lazy,
        retry_config=retry_config,
    )
