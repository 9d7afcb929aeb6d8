import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import Result

from api.links import Links
from api.schemas.events import EventAnswer, EventState
from notifications.catalogue.publish import apply_folder
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions, transaction
from notifications.ids import event_uuid
from notifications.tables import Notification
from tests.api.support import SOURCE, notification_row, rejected_row, save, unique
from tests.support.campaigns import change_campaign, insert_campaign
from tests.support.commands import run_command
from tests.support.events import call_off, launch
from tidings.composing import Wish, compose
from tidings.following import follow, state_of
from tidings.send import address
from tidings.surroundings import CommandError

CATALOGUE = Path(__file__).parents[2] / "catalogue"
DATA = json.dumps({"payment_id": "pay_1", "amount": "1.00", "currency": "EUR"})


@pytest.fixture
async def published(sessions: Sessions) -> Sessions:
    await apply_folder(CATALOGUE, sessions)
    return sessions


class TestCompose:
    async def test_an_example_has_a_fresh_id_each_time(self, published: Sessions) -> None:
        catalogue = await CatalogueStore(published).current()
        first, second = (json.loads(compose(Wish(example="payment.succeeded"), catalogue)) for _ in range(2))
        assert first["id"] != second["id"]
        assert first["data"] == second["data"]

    async def test_flags_replace_what_the_example_says(self, published: Sessions) -> None:
        wish = Wish(example="payment.succeeded", attributes={"recipient": "cus_7", "id": "mine"}, data=DATA)
        event = json.loads(compose(wish, await CatalogueStore(published).current()))
        assert (event["recipient"], event["id"], event["data"]) == ("cus_7", "mine", json.loads(DATA))

    async def test_an_unknown_example_names_those_there_are(self, published: Sessions) -> None:
        with pytest.raises(CommandError, match=r"there is .*payment\.succeeded"):
            compose(Wish(example="payment.succeded"), await CatalogueStore(published).current())

    def test_flags_alone(self) -> None:
        event = json.loads(compose(Wish(attributes={"type": "payment.succeeded"}, data=DATA), None))
        assert event.keys() == {"specversion", "source", "id", "time", "type", "data"}

    def test_a_file_without_flags_is_sent_as_it_is(self, tmp_path: Path) -> None:
        file = tmp_path / "event.json"
        file.write_bytes(b'{ "not": json')
        assert compose(Wish(file=file), None) == b'{ "not": json'
        with pytest.raises(CommandError, match="is not JSON"):
            compose(Wish(file=file, attributes={"id": "x"}), None)

    def test_a_missing_file_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="cannot be read"):
            compose(Wish(file=tmp_path / "none.json"), None)

    @pytest.mark.parametrize("data", ["{", "[1]", '"text"'])
    def test_data_must_be_an_object(self, data: str) -> None:
        with pytest.raises(CommandError, match="--data"):
            compose(Wish(attributes={"type": "payment.succeeded"}, data=data), None)

    def test_what_cannot_go_together(self) -> None:
        with pytest.raises(CommandError, match="exclude"):
            Wish(file=Path("a"), example="b")
        with pytest.raises(CommandError, match="--example"):
            Wish()


class TestAddress:
    @pytest.mark.parametrize("name", sorted(folder.parent.name for folder in CATALOGUE.glob("*/example.json")))
    async def test_every_example_goes_to_the_topic_of_its_type(self, published: Sessions, name: str) -> None:
        addressed = await address(Wish(example=name), published)
        definition = (await CatalogueStore(published).current()).definitions[name]
        assert addressed.topic == f"{definition.type}.notifications"

    async def test_a_topic_that_is_given_spares_the_check(self, tmp_path: Path) -> None:
        file = tmp_path / "event.json"
        file.write_text("not json")
        addressed = await address(Wish(file=file, topic="alert.notifications"), None)
        assert (addressed.topic, addressed.value, addressed.id) == ("alert.notifications", b"not json", None)


class TestFollow:
    async def test_it_tells_each_status_and_ends_with_the_last(self, sessions: Sessions) -> None:
        row = notification_row(unique("pay"))
        heard: list[str] = []
        arrived = asyncio.Event()

        def changed(answer: EventAnswer) -> None:
            heard.append(answer.notification.status if answer.notification else answer.state)
            arrived.set()

        following = asyncio.create_task(follow(sessions, _LINKS, SOURCE, row.event_id, seconds=60, changed=changed))
        for status in ("running", "stuck", "done"):
            await arrived.wait()
            arrived.clear()
            async with transaction(sessions) as session:
                await session.merge(Notification(**row.model_dump() | {"status": status}))
        answer = await following
        assert heard == ["not_seen", "running", "stuck", "done"]
        assert answer.notification is not None

    async def test_a_rejection_is_an_end(self, sessions: Sessions) -> None:
        row = rejected_row(unique("pay"))
        await save(sessions, row)
        answer = await follow(sessions, _LINKS, SOURCE, row.event_id or "", seconds=60)
        assert answer.state is EventState.REJECTED

    async def test_a_campaign_is_followed_until_nothing_more_of_it_is_sent(self, sessions: Sessions) -> None:
        event_id, heard, arrived = unique("spring"), list[str](), asyncio.Event()
        campaign = await insert_campaign(sessions, state="preparing", id=event_uuid(SOURCE, event_id))

        def changed(answer: EventAnswer) -> None:
            heard.append(state_of(answer))
            arrived.set()

        following = asyncio.create_task(follow(sessions, _LINKS, SOURCE, event_id, seconds=60, changed=changed))
        for state in ("running", "paused", "completed"):
            await arrived.wait()
            arrived.clear()
            await change_campaign(sessions, campaign, state=state)
        answer = await following
        assert heard == ["preparing", "running", "paused", "completed"]
        assert answer.campaign is not None

    async def test_it_gives_up_in_time(self, sessions: Sessions) -> None:
        answer = await follow(sessions, _LINKS, SOURCE, unique("pay"), seconds=0)
        assert answer.state is EventState.NOT_SEEN


_LINKS = Links("http://api.test", "http://ui.test", "default")


class TestCommand:
    @pytest.fixture
    def send(self, database_url: str, kafka_bootstrap: str, published: Sessions) -> Any:
        env = {"TIDINGS_DATABASE_URL": database_url, "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap}

        async def run(*arguments: str) -> Result:
            return await run_command("send", *arguments, env=env)

        return run

    async def test_it_produces_and_says_where_to_look(self, send: Any, kafka_bootstrap: str) -> None:
        result = await send("--example", "payment.succeeded", "--recipient", "cus_7", "--json")
        assert result.exit_code == 0, result.output
        sent = json.loads(result.stdout)
        assert sent["notification_id"] == str(event_uuid(sent["source"], sent["id"]))
        assert sent["links"]["workflow"].endswith(f"notification-{sent['notification_id']}")
        record = await asyncio.to_thread(_read, kafka_bootstrap, sent)
        assert record.key() == b"cus_7"
        assert json.loads(record.value())["id"] == sent["id"]

    async def test_a_person_is_told_the_same(self, send: Any) -> None:
        result = await send("--example", "payment.succeeded")
        assert "produced to transactional.notifications" in result.stdout
        assert "python -m tidings explain" in result.stdout

    async def test_a_wrong_event_is_refused_before_it_is_sent(self, send: Any) -> None:
        result = await send("--type", "payment.suceeded", "--data", DATA)
        assert result.exit_code == 1
        assert "did you mean payment.succeeded?" in result.stderr

    async def test_waiting_in_vain_ends_with_status_1(self, send: Any) -> None:
        result = await send("--example", "payment.succeeded", "--wait", "--timeout", "0", "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["outcome"]["state"] == "not_seen"

    async def test_a_launch_is_over_when_its_campaign_is(self, send: Any, sessions: Sessions, tmp_path: Path) -> None:
        file, made = _file(tmp_path, launch())
        soon = await send("--file", file, "--wait", "--timeout", "0", "--json")
        sent = json.loads(soon.stdout)
        assert (soon.exit_code, sent["topic"], sent["notification_id"]) == (1, "campaigns", None)
        assert sent["outcome"]["state"] == "not_seen"
        campaign = await insert_campaign(sessions, state="running", id=event_uuid(made["source"], made["id"]))
        assert sent["campaign_id"] == str(campaign)
        late = await send("--file", file, "--wait", "--timeout", "0")
        for words in ("  running\n", "the campaign goes on", f"campaign watch {campaign}"):
            assert words in late.stdout
        assert late.exit_code == 1
        for state, status in (("completed", 0), ("cancelled", 1)):
            await change_campaign(sessions, campaign, state=state)
            ended = await send("--file", file, "--wait", "--topic", "campaigns", "--json")
            assert (ended.exit_code, json.loads(ended.stdout)["outcome"]["campaign"]["state"]) == (status, state)

    async def test_a_launch_that_cannot_be_one_is_refused_before_it_is_sent(self, send: Any, tmp_path: Path) -> None:
        file, _ = _file(tmp_path, launch(data={"category": "ofers"}))
        result = await send("--file", file)
        assert (result.exit_code, "did you mean 'offers'" in result.stderr) == (1, True), result.output
        assert "produced" not in result.stdout

    @pytest.mark.parametrize("topic", [(), ("--topic", "campaigns")])
    async def test_a_cancel_is_not_waited_for(self, send: Any, topic: tuple[str, ...], tmp_path: Path) -> None:
        file, _ = _file(tmp_path, call_off(uuid4()))
        result = await send("--file", file, "--wait", *topic)
        assert (result.exit_code, "a cancel sends nothing" in result.stderr) == (1, True), result.output
        assert "produced" not in result.stdout
        sent = await send("--file", file, *topic)
        assert (sent.exit_code, "look at what it cancels" in sent.stdout) == (0, True), sent.output

    async def test_what_cannot_be_read_is_not_waited_for(self, send: Any, tmp_path: Path) -> None:
        file = tmp_path / "event.json"
        file.write_text("not json")
        result = await send("--file", str(file), "--wait", "--topic", "campaigns")
        assert (result.exit_code, "source and id" in result.stderr) == (1, True), result.output


def _file(folder: Path, event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    file = folder / "event.json"
    file.write_text(json.dumps(event), encoding="utf-8")
    return str(file), event


def _read(bootstrap: str, sent: dict[str, Any]) -> Any:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": unique("reader"), "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(sent["topic"], sent["partition"], sent["offset"])])
        return consumer.poll(30)
    finally:
        consumer.close()
