"""What must hold in a catalogue folder beyond the shape of its files."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path

from babel import Locale, UnknownLocaleError

from notifications.addresses import normalise_email
from notifications.catalogue.definition import ConsentDefault, Definition, Routing, StandaloneTemplate
from notifications.catalogue.examples import check_example
from notifications.catalogue.folder import Folder, Loaded
from notifications.catalogue.problems import Problem, did_you_mean
from notifications.catalogue.schema import schema_problems
from notifications.durations import format_duration
from notifications.statuses import Channel, NotificationType, RoutingMode

# What each vendor needs in order to find an approved WhatsApp template, and what it takes besides.
_VENDOR_KEYS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "meta": (frozenset({"name", "language"}), frozenset()),
    "twilio": (frozenset({"content_sid"}), frozenset()),
}
_SHORTEST_WAIT, _LONGEST_WAIT = timedelta(seconds=5), timedelta(hours=24)
# A campaign's own content is kept as a template of the name campaign-<id>.
TEMPLATE_NAME = re.compile(r"(?!campaign-)[a-z0-9][a-z0-9._-]{0,99}")
TEMPLATE_NAME_RULE = "lower-case letters, digits, . _ and -, at most 100, and not beginning with campaign-"
_SMS_SENDER = re.compile(r"\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")


def check_folder(folder: Folder) -> Iterator[Problem]:
    """Every check, over everything that could be read."""
    yield from _senders(folder)
    yield from _event_types(folder)
    for item, definition in folder.definitions:
        yield from _category(item, definition, folder)
        yield from _routing(item, definition)
        yield from _delivery(item, definition)
    for item in folder.loaded:
        yield from _name(item)
        yield from check_content(item, folder.root)


def check_content(item: Loaded, root: Path) -> Iterator[Problem]:
    """What holds for a definition or template wherever it was written; `root` is before the paths of its parts."""
    yield from _locales(item)
    yield from _vendor_templates(item)
    wrong_schema = [item.document.problem(("data", *at), message) for at, message in schema_problems(item.content.data)]
    yield from wrong_schema or check_example(item, root)


def _name(item: Loaded) -> Iterator[Problem]:
    if isinstance(item.content, StandaloneTemplate) and not TEMPLATE_NAME.fullmatch(item.content.name):
        yield item.document.problem((), f"{item.content.name!r} is no name of a template: {TEMPLATE_NAME_RULE}")


def _senders(folder: Folder) -> Iterator[Problem]:
    path = (folder.root / "categories.yaml").as_posix()
    for name, category in folder.categories.items():
        sender = category.sender
        for address in (sender.from_address, sender.reply_to):
            try:
                normalise_email(parseaddr(address)[1] if address is not None else "nobody@example.org")
            except ValueError as error:
                yield Problem(path, folder.category_lines[name], f"sender of {name!r}: {error}")
        if sender.sms_sender is not None and not _SMS_SENDER.fullmatch(sender.sms_sender):
            message = (
                f"sms_sender of {name!r} is neither a number such as +4915112345678 nor up to 11 letters and digits"
            )
            yield Problem(path, folder.category_lines[name], message)


def _event_types(folder: Folder) -> Iterator[Problem]:
    """An event type leads to one definition."""
    owners: dict[str, str] = {}
    for item, definition in folder.definitions:
        for index, name in enumerate([definition.event, *definition.aliases]):
            at = ("aliases", index - 1) if index else ("event",)
            if name.startswith("tidings."):
                yield item.document.problem(at, f"{name!r}: types that begin with 'tidings.' are commands")
            if name in owners:
                yield item.document.problem(at, f"{name!r} is already taken by {owners[name]}")
            owners.setdefault(name, item.document.path)


def _category(item: Loaded, definition: Definition, folder: Folder) -> Iterator[Problem]:
    if definition.type is not NotificationType.PROMOTIONAL:
        return
    name = definition.category.name
    if name in folder.undecided:
        message = f"a promotional category must state its default: add `default: opted_out` (or opted_in) to {name!r}"
        yield Problem((folder.root / "categories.yaml").as_posix(), folder.category_lines[name], message)
    elif definition.category.default is ConsentDefault.REQUIRED:
        message = f"a promotional message can be opted out of, but the category {name!r} is required"
        yield item.document.problem(("category",), message)


def _routing(item: Loaded, definition: Definition) -> Iterator[Problem]:
    for index, channel in enumerate(definition.routing.channels):
        if not definition.templates.of(channel):
            message = f"there is no {channel} template: add templates.{channel}.{definition.default_locale}"
            yield item.document.problem(("routing", "channels", index), message)
    at = ("routing", "wait_for_receipt")
    yield from (item.document.problem(at, message) for message in _receipt_wait(definition.routing, definition))


def _receipt_wait(routing: Routing, definition: Definition) -> Iterator[str]:
    wait, earlier = routing.wait_for_receipt, routing.channels[:-1]
    if wait is None:
        return
    if routing.mode is not RoutingMode.FALLBACK or not earlier:
        yield "only `mode: fallback` with at least two channels can wait for a receipt before it goes on"
    elif not _SHORTEST_WAIT <= wait <= _LONGEST_WAIT:
        yield f"must be from {format_duration(_SHORTEST_WAIT)} to {format_duration(_LONGEST_WAIT)}"
    elif wait * len(earlier) >= definition.delivery.expire_after:
        expiry = format_duration(definition.delivery.expire_after)
        yield f"waiting {len(earlier)} times leaves no time for the last channel: it expires after {expiry}"
    elif Channel.PUSH in earlier:
        yield "no provider of push reports a delivery, so each wait would be for nothing: put push last"


def _delivery(item: Loaded, definition: Definition) -> Iterator[Problem]:
    if definition.delivery.expire_after <= timedelta():
        yield item.document.problem(("delivery", "expire_after"), "must be longer than nothing")


def _locales(item: Loaded) -> Iterator[Problem]:
    for channel in Channel:
        locales = item.content.templates.of(channel)
        for locale in locales:
            if not _is_known(locale):
                message = f"{locale!r} is no locale: write a BCP 47 tag such as en, de-AT or zh-Hant"
                yield item.document.problem(("templates", channel.value, locale), message)
        if locales and item.content.default_locale not in locales:
            default = item.content.default_locale
            message = f"there is no {channel} template in the default locale {default!r}"
            yield item.document.problem(("templates", channel.value), message)


def _is_known(tag: str) -> bool:
    try:
        Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return False
    return True


def _vendor_templates(item: Loaded) -> Iterator[Problem]:
    for locale, template in item.content.templates.whatsapp.items():
        at = ("templates", "whatsapp", locale, "vendor_templates")
        if not template.vendor_templates:
            yield item.document.problem(at, "name the approved template of at least one vendor, such as meta")
        for vendor, keys in template.vendor_templates.items():
            if vendor not in _VENDOR_KEYS:
                hint = did_you_mean(vendor, _VENDOR_KEYS) or f"; there are {', '.join(_VENDOR_KEYS)}"
                yield item.document.problem((*at, vendor), f"unknown vendor {vendor!r}{hint}")
                continue
            needed, further = _VENDOR_KEYS[vendor]
            for key in sorted(needed - keys.keys()):
                yield item.document.problem((*at, vendor), f"{vendor!r} needs {key!r}")
            for key in sorted(keys.keys() - needed - further):
                yield item.document.problem(
                    (*at, vendor, key), f"unknown key {key!r}{did_you_mean(key, needed | further)}"
                )
