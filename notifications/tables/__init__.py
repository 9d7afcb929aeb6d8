"""The tables, one file per subject. Importing this package fills `SQLModel.metadata`, which migrations compare with."""

from notifications.tables.audiences import AudienceMember, SavedAudience
from notifications.tables.campaigns import Campaign, CampaignCommand, CampaignRange, RateLimit
from notifications.tables.catalogue import CatalogueEntry, CatalogueRevision, CatalogueVersion, Category, TemplateDraft
from notifications.tables.events import Cancellation, Notification, Plan, RejectedEvent
from notifications.tables.imports import Import, ImportRefusal, ImportRow
from notifications.tables.ledger import Attempt, Message, OutboxEntry
from notifications.tables.providers import ProviderState, ReceiptRecord
from notifications.tables.recipients import Device, Preference, Recipient, Suppression

__all__ = [
    "Attempt",
    "AudienceMember",
    "Campaign",
    "CampaignCommand",
    "CampaignRange",
    "Cancellation",
    "CatalogueEntry",
    "CatalogueRevision",
    "CatalogueVersion",
    "Category",
    "Device",
    "Import",
    "ImportRefusal",
    "ImportRow",
    "Message",
    "Notification",
    "OutboxEntry",
    "Plan",
    "Preference",
    "ProviderState",
    "RateLimit",
    "ReceiptRecord",
    "Recipient",
    "RejectedEvent",
    "SavedAudience",
    "Suppression",
    "TemplateDraft",
]
