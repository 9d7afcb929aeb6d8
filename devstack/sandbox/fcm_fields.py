"""Which fields an FCM v1 send request may have, and Google's words for what is wrong with them.

The names are those of the public discovery document, revision 20261023. JSON may use camelCase or snake_case.
"""

import re
from collections.abc import Mapping
from typing import Any

Kind = str | Mapping[str, "Kind"]

_LOOK: dict[str, Kind] = {
    **dict.fromkeys(("body", "bodyLocKey", "channelId", "clickAction", "color", "eventTime", "icon"), "TYPE_STRING"),
    **dict.fromkeys(("image", "notificationPriority", "sound", "tag", "ticker", "title"), "TYPE_STRING"),
    **dict.fromkeys(("titleLocKey", "visibility"), "TYPE_STRING"),
    **dict.fromkeys(("defaultLightSettings", "defaultSound", "defaultVibrateTimings", "localOnly"), "TYPE_BOOL"),
    **dict.fromkeys(("bodyLocArgs", "titleLocArgs", "vibrateTimings"), "list"),
    "sticky": "TYPE_BOOL",
    "notificationCount": "TYPE_INT32",
    "lightSettings": "struct",
}
_ANDROID: dict[str, Kind] = {
    **dict.fromkeys(("bandwidthConstrainedOk", "directBootOk", "restrictedSatelliteOk"), "TYPE_BOOL"),
    **dict.fromkeys(("collapseKey", "restrictedPackageName", "ttl"), "TYPE_STRING"),
    "data": "map",
    "fcmOptions": {"analyticsLabel": "TYPE_STRING"},
}
REQUEST: dict[str, Kind] = {
    "validateOnly": "TYPE_BOOL",
    "message": {
        **dict.fromkeys(("name", "token", "fid", "topic", "condition"), "TYPE_STRING"),
        "data": "map",
        "notification": dict.fromkeys(("title", "body", "image"), "TYPE_STRING"),
        "fcmOptions": {"analyticsLabel": "TYPE_STRING"},
        "android": {
            **_ANDROID,
            "priority": "TYPE_STRING",
            "notification": {**_LOOK, "bypassProxyNotification": "TYPE_BOOL", "proxy": "TYPE_STRING"},
        },
        "androidV2": {
            **_ANDROID,
            "backgroundSync": {},
            "remoteNotification": {
                **dict.fromkeys(("mutableContent", "useAsV1DataMessage"), "TYPE_BOOL"),
                "notification": {**_LOOK, "id": "TYPE_INT32"},
            },
        },
        "apns": {
            "headers": "map",
            "payload": "struct",
            "liveActivityToken": "TYPE_STRING",
            "fcmOptions": dict.fromkeys(("analyticsLabel", "image"), "TYPE_STRING"),
        },
        "webpush": {
            "headers": "map",
            "data": "map",
            "notification": "struct",
            "fcmOptions": dict.fromkeys(("analyticsLabel", "link"), "TYPE_STRING"),
        },
    },
}
_PYTHON_TYPES: dict[str, type] = {
    "TYPE_STRING": str,
    "TYPE_BOOL": bool,
    "TYPE_INT32": int,
    "struct": dict,
    "list": list,
}


class FieldError(ValueError):
    """`field` is the path as Google writes it in `fieldViolations`, the text its description."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(description)
        self.field = field


def read_fields(value: Any, kind: Kind = REQUEST, path: str = "") -> Any:
    """The request with all names in camelCase.

    Raises:
        FieldError: an unknown name or a value of the wrong type.

    """
    if isinstance(kind, Mapping):
        return _read_object(value, kind, path)
    if kind == "map":
        return _read_map(value, path)
    expected = _PYTHON_TYPES[kind]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise _invalid(path, kind, value)
    return value


def _read_object(value: Any, fields: Mapping[str, Kind], path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(path or "message", "type.googleapis.com/google.firebase.fcm.v1.Message", value)
    known: dict[str, Any] = {}
    for name, inner in value.items():
        camel = re.sub(r"_([a-z0-9])", lambda match: match.group(1).upper(), name)
        if camel not in fields:
            where = f" at '{path}'" if path else ""
            text = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
            raise FieldError(path, text)
        if inner is not None:
            known[camel] = read_fields(inner, fields[camel], f"{path}.{name}" if path else name)
    return known


def _read_map(value: Any, path: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _invalid(path, "Map", value)
    for position, text in enumerate(value.values()):
        if not isinstance(text, str):
            raise _invalid(f"{path}[{position}].value", "TYPE_STRING", text)
    return value


def _invalid(path: str, kind: str, value: Any) -> FieldError:
    shown = value if isinstance(value, int | float) else f'"{str(value)[:40]}"'
    return FieldError(path, f"Invalid value at '{path}' ({kind}), {shown}")
