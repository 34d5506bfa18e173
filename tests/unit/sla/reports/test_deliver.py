"""Delivery to a real mail server and a real webhook: refused, asked to wait, killed in between; once each."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from services.sla.reports.deliver import EMAIL, ReportDelivery, retry_after_ms
from services.sla.reports.ledger import DeliveryRecord, Outcome, Recipients, ReportPeriod, ReportRecord
from services.sla.reports.send import HookConfig, Hooks, Mailer, SmtpConfig, SmtpTls
from tests.unit.sla.reports.examples import END_MS, START_MS
from tests.unit.sla.reports.office import Office, office
from tests.unit.sla.reports.receivers import Hook, MailServer, decoded, listening
from tests.unit.sla.reports.test_schedule import SetClock

MONTH = ReportPeriod("month", "2026-10", START_MS, END_MS)
WHO = Recipients(("csv",), ("ops@acme.example",), "billing")
SECRET = b"only we know"


@dataclass
class Post:
    office: Office
    delivery: ReportDelivery
    mail: MailServer
    hook: Hook
    clock: SetClock

    def again(self) -> ReportDelivery:
        """Another process, which knows only what is recorded."""
        ways = {
            EMAIL: Mailer(SmtpConfig("127.0.0.1", self.mail.port, "sla@host.example", SmtpTls.NONE)),
            "webhook": Hooks(
                lambda _tenant, name: HookConfig(f"http://127.0.0.1:{self.hook.port}/{name}", {}, SECRET),
                self.clock,
            ),
        }
        return ReportDelivery(
            store=self.office.store, histories=self.office.parts.histories, ways=ways, clock=self.clock
        )

    async def attempts(self, kind: str) -> list[tuple[int, Outcome, int]]:
        found = await self.office.store.deliveries("acme", "month-2026-10-gold-r1")
        return [(o.attempt, o.outcome, o.status_code) for o in found if o.recipient.startswith(kind)]


@asynccontextmanager
async def post(recipients: Recipients = WHO) -> AsyncIterator[Post]:
    """An issued report with recipients, and where it goes."""
    clock, mail, hook = SetClock(END_MS + 3_600_000), MailServer(), Hook()
    async with office(clock=clock, working=False) as running, listening(mail), listening(hook):
        await running.parts.reports.begin("acme", "gold", MONTH, actor="schedule", recipients=recipients)
        await running.maker_step()
        found = Post(running, None, mail, hook, clock)  # type: ignore[arg-type]
        found.delivery = found.again()
        yield found


async def issued(it: Post) -> ReportRecord:
    found = await it.office.store.report("acme", "month-2026-10-gold-r1")
    assert found is not None
    return found


async def test_everybody_gets_it_once_with_the_documents() -> None:
    async with post(Recipients(("pdf", "csv"), WHO.emails, WHO.receiver)) as it:
        assert await it.delivery.step() == 2
        assert await it.delivery.step() == 0
        assert await it.again().step() == 0

        (message,) = it.mail.messages
        assert it.mail.recipients == ["ops@acme.example"]
        assert "2026-10" in str(message["Subject"])
        kinds = [part.get_content_type() for part in message.iter_attachments()]
        assert kinds == ["application/pdf", "text/csv"]
        pdf, _ = message.iter_attachments()
        assert pdf.get_content().startswith(b"%PDF-")
        assert pdf.get_filename() == "acme-month-2026-10-gold-r1.pdf"
        text = message.get_body(("plain",))
        page = message.get_body(("html",))
        assert text is not None
        assert page is not None
        record = await issued(it)
        assert record.facts is not None
        assert record.facts.content_sha256 in text.get_content()
        assert record.facts.content_sha256 in page.get_content()


async def test_a_webhook_can_check_who_sent_what() -> None:
    async with post() as it:
        await it.delivery.step()
        ((headers, body),) = it.hook.requests
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert headers["idempotency-key"] == headers["webhook-id"]
        data = json.loads(body)["data"]
        assert data["name"] == "tenants/acme/reports/month-2026-10-gold-r1"
        assert [one["format"] for one in data["documents"]] == ["csv"]
        for one in data["documents"]:
            assert hashlib.sha256(decoded(one["content_base64"])).hexdigest() == one["sha256"]


async def test_refused_twice_and_then_taken_with_growing_delays() -> None:
    async with post() as it:
        it.mail.refusals = ["451 busy", "421 later"]
        it.hook.answers = [(503, {}), (500, {})]
        await it.delivery.step()
        assert await it.delivery.step() == 0
        it.clock.now_ms += 30_000
        await it.delivery.step()
        it.clock.now_ms += 59_999
        assert await it.delivery.step() == 0
        it.clock.now_ms += 1
        assert await it.again().step() == 2
        again, done = Outcome.RETRYING, Outcome.DELIVERED
        assert await it.attempts("email") == [(1, again, 451), (2, again, 421), (3, done, 250)]
        assert await it.attempts("webhook") == [(1, again, 503), (2, again, 500), (3, done, 204)]
        assert len({headers["idempotency-key"] for headers, _ in it.hook.requests}) == 1
        assert len({body for _, body in it.hook.requests}) == 1


async def test_retry_after_is_waited_for() -> None:
    async with post(Recipients(("csv",), (), "billing")) as it:
        it.hook.answers = [(429, {"retry-after": "600"})]
        await it.delivery.step()
        it.clock.now_ms += 599_000
        assert await it.delivery.step() == 0
        it.clock.now_ms += 1_000
        assert await it.delivery.step() == 1
    now_ms = 784_111_776_000
    assert retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT", now_ms=now_ms) == 1000
    assert retry_after_ms("soon", now_ms=now_ms) is None


async def test_what_cannot_be_delivered_is_given_up_and_recorded() -> None:
    async with post() as it:
        it.mail.refusals = ["550 nobody here"]
        it.hook.answers = [(410, {})]
        await it.delivery.step()
        it.clock.now_ms += 86_400_000
        assert await it.delivery.step() == 0
        assert await it.attempts("email") == [(1, Outcome.GIVEN_UP, 550)]
        assert await it.attempts("webhook") == [(1, Outcome.GIVEN_UP, 410)]


async def test_a_kill_between_sending_and_recording_sends_again_under_the_same_key() -> None:
    async with post() as it:
        histories = it.office.parts.histories

        class Killed(Exception):
            """The process is gone."""

        class Dying:
            async def add_delivery(self, record: DeliveryRecord) -> DeliveryRecord:
                raise Killed(record.recipient)

        dying = it.again()
        dying._histories = Dying()  # type: ignore[assignment]
        for _ in range(2):
            with suppress(Killed):
                await dying.step()
        await it.again().step()
        assert it.office.parts.histories is histories
        assert len(it.mail.messages) == 3
        assert len({str(one["Message-ID"]) for one in it.mail.messages}) == 1
        assert await it.attempts("email") == [(1, Outcome.DELIVERED, 250)]
        assert await it.again().step() == 0


async def test_mail_whose_answer_was_lost_comes_again_with_the_same_message_id() -> None:
    async with post(Recipients(("csv",), ("ops@acme.example",), "")) as it:
        it.mail.lost = 1
        await it.delivery.step()
        it.clock.now_ms += 30_000
        await it.delivery.step()
        first, second = it.mail.messages
        assert first["Message-ID"] == second["Message-ID"]
        assert first["Date"] == second["Date"]


async def test_without_a_mail_server_it_is_tried_later_and_said_why() -> None:
    async with post() as it:
        alone = ReportDelivery(
            store=it.office.store,
            histories=it.office.parts.histories,
            ways={EMAIL: Mailer(None), "webhook": Hooks(lambda _tenant, _name: None, it.clock)},
            clock=it.clock,
        )
        await alone.step()
        found = await it.office.store.deliveries("acme", "month-2026-10-gold-r1")
        assert [one.outcome for one in found] == [Outcome.RETRYING] * 2
        assert "THREENINES_SMTP_HOST" in found[0].error
