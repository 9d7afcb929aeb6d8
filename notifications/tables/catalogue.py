"""The published catalogue. A version is immutable; an entry points at the current one."""

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from notifications.tables.columns import document, timestamp


class Category(SQLModel, table=True):
    __tablename__ = "categories"

    name: str = Field(primary_key=True)
    content: dict[str, Any] = document()  # catalogue.definition.Category, dumped


class CatalogueEntry(SQLModel, table=True):
    """A definition or a stand-alone template by name; each kind has its own namespace."""

    __tablename__ = "catalogue_entries"

    kind: str = Field(primary_key=True)  # definition | template
    name: str = Field(primary_key=True)
    current_version: int
    retired_at: datetime | None = timestamp()  # gone from the folder; its versions stay
    origin: str = Field(default="folder", sa_column_kwargs={"server_default": "folder"})  # or api: `apply` leaves it


class CatalogueVersion(SQLModel, table=True):
    __tablename__ = "catalogue_versions"
    __table_args__ = (UniqueConstraint("kind", "name", "content_hash"),)

    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    content_hash: str
    content: dict[str, Any] = document()  # catalogue.definition.Definition, dumped, with file parts inlined
    example: dict[str, Any] | None = document(nullable=True)
    created_at: datetime = timestamp(default_now=True)


class TemplateDraft(SQLModel, table=True):
    """A stand-alone template that somebody writes; publishing makes a version of it. It may have mistakes."""

    __tablename__ = "template_drafts"

    name: str = Field(primary_key=True, max_length=100)
    content: dict[str, Any] = document()  # catalogue.templates.TemplateBody, dumped
    created_at: datetime = timestamp(default_now=True)
    updated_at: datetime = timestamp(default_now=True)


class CatalogueRevision(SQLModel, table=True):
    """One row: raised with every change, so that processes know when to load again."""

    __tablename__ = "catalogue_revision"

    id: int = Field(default=1, primary_key=True)
    revision: int = 0
