"""Addresses to open: a notification in this API and its workflow in the Temporal UI."""

from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from temporalio.envconfig import ClientConfig

from activities.temporal import notification_workflow_id
from notifications.settings import Settings


@dataclass(frozen=True, slots=True)
class Links:
    public_url: str
    temporal_ui_url: str
    namespace: str

    @classmethod
    def of(cls, settings: Settings) -> "Links":
        """The namespace comes from the SDK's environment configuration, as the connection's does."""
        namespace = ClientConfig.load_client_connect_config().get("namespace", "default")
        return cls(settings.public_url.rstrip("/"), settings.temporal_ui_url.rstrip("/"), namespace)

    def notification(self, notification_id: UUID) -> str:
        return f"{self.public_url}/v1/notifications/{notification_id}"

    def campaign(self, campaign_id: UUID) -> str:
        return f"{self.public_url}/v1/campaigns/{campaign_id}"

    def event(self, source: str, event_id: str) -> str:
        return f"{self.public_url}/v1/events?{urlencode({'source': source, 'id': event_id})}"

    def workflow(self, notification_id: UUID) -> str:
        workflow_id = notification_workflow_id(notification_id)
        return f"{self.temporal_ui_url}/namespaces/{self.namespace}/workflows/{workflow_id}"
