"""What Meta is told about one message."""

import pytest
from pydantic import SecretStr

from notifications.providers.base import ErrorScope, PermanentDeliveryError, WhatsAppContent
from notifications.providers.whatsapp.meta import MetaProvider, build_message
from notifications.settings import MetaSettings, SettingsError
from tests.contracts.support.vendors import KEY, ORIGIN, MetaBench, outgoing

TEMPLATE = {"name": "order_shipped", "language": "en_US"}


def build(*parameters, **vendors):
    content = WhatsAppContent(vendors or {"meta": TEMPLATE}, parameters)
    return build_message(outgoing(MetaBench(), content=content), KEY)


def refused(*parameters, **vendors) -> PermanentDeliveryError:
    with pytest.raises(PermanentDeliveryError) as caught:
        build(*parameters, **vendors)
    assert caught.value.scope is ErrorScope.MESSAGE
    return caught.value


def test_a_message_is_the_approved_template_with_its_parameters():
    assert build("DHL", "123") == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": MetaBench.address,
        "type": "template",
        "template": {
            "name": "order_shipped",
            "language": {"policy": "deterministic", "code": "en_US"},
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "DHL"}, {"type": "text", "text": "123"}]}
            ],
        },
        "biz_opaque_callback_data": f"{ORIGIN}.1.2 {KEY}",
    }


def test_a_template_without_parameters_has_no_components():
    assert "components" not in build()["template"]


def test_blanks_that_meta_refuses_become_one():
    (component,) = build(" two\nlines\tand      more ")["template"]["components"]
    assert component["parameters"] == [{"type": "text", "text": "two lines and more"}]


@pytest.mark.parametrize("parameter", ["", " \n ", "x" * 1025])
def test_a_parameter_of_no_or_too_much_text_is_refused_by_its_number(parameter):
    error = refused("ok", parameter)
    assert error.code == "meta_parameter_length"
    assert "parameter 2" in error.detail


@pytest.mark.parametrize(
    "vendors",
    [{"twilio": {"content_sid": "HX1"}}, {"meta": {"name": "a"}}, {"meta": {"language": "en"}}, {"meta": {}}],
    ids=str,
)
def test_a_definition_without_a_template_at_meta_is_told_what_to_add(vendors):
    error = refused(**vendors)
    assert error.code == "meta_no_template"
    assert "vendor_templates.meta: {name, language}" in error.detail


def test_what_is_not_supported_is_refused_and_not_dropped():
    assert "vendor_templates.meta.header is not supported" in refused(meta={**TEMPLATE, "header": "x"}).detail


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        (MetaSettings(), "TIDINGS_META__PHONE_NUMBER_ID"),
        (MetaSettings(phone_number_id="1"), "TIDINGS_META__ACCESS_TOKEN"),
        (MetaSettings(phone_number_id="1", access_token=SecretStr("")), "TIDINGS_META__ACCESS_TOKEN"),
    ],
)
def test_a_missing_setting_is_named(settings, variable):
    with pytest.raises(SettingsError, match=variable):
        MetaProvider(settings)
