"""The way out: the worker, what waits for it, the CRM connections, and the mails that tell people of them."""

import smtplib
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import clock, connection_words, mails, outages
from crm_sync.models import Delivery, DestinationState, Worker
from crm_sync.network_errors import because, name_unknown
from leads import mailing
from leads.models import Lead
from leads.wording import ago, clip
from leadsite import reach
from leadsite.doctor.finding import MANAGE, Finding, Scene, ok, warning, wrong

MOST = 1_000  # that are counted
LATE = timedelta(minutes=10)  # after which a sending that is due should have gone
UNROUTED = timedelta(minutes=1)
NAMED = 3  # connections, in one sentence
SMTP = "django.core.mail.backends.smtp.EmailBackend"
State = DestinationState.State


def worker(scene: Scene) -> Finding:
    from crm_sync.alerts import WORKER_SILENCE  # with the admin's pages, which this package helps to make

    last = Worker.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
    now = clock.now()  # as the workers say it
    if last and now - last <= WORKER_SILENCE:
        return ok(_("A worker runs: it reported %(ago)s.") % {"ago": ago(last, now)})
    since = (
        _("The last one reported %(ago)s.") % {"ago": ago(last, now)} if last else _("There never was one.")
    )
    return wrong(
        _("No worker runs: leads are stored, and none is sent. %(since)s") % {"since": since},
        _("%(manage)s serve (web server and worker), or %(manage)s deliver (a worker alone)")
        % {"manage": MANAGE},
    )


def unrouted(scene: Scene) -> Finding:
    waiting = Lead.objects.filter(routed_at=None, received_at__lt=scene.now - UNROUTED)
    number = _count(waiting)
    if not number:
        return ok(_("Every lead that came was looked at by the worker."))
    return wrong(
        ngettext(
            "%(number)s lead was not looked at by the worker yet; it came %(ago)s.",
            "%(number)s leads were not looked at by the worker yet; the first came %(ago)s.",
            number,
        )
        % {"number": _shown(number), "ago": ago(_first(waiting, "received_at"), scene.now)},
        _("Start the worker. If one runs, its log says what stops it: %(manage)s deliver --drain")
        % {"manage": MANAGE},
    )


def oldest_sending(scene: Scene) -> Finding:
    """What should have gone by now. What waits for a connection that is not well is that connection's affair."""
    now = clock.now()
    late: list[tuple[datetime, DestinationState]] = []
    for state in (
        DestinationState.objects.filter(state=State.WORKING)
        .select_related("destination")
        .defer("destination__secrets")
    ):
        due = Delivery.objects.filter(
            destination=state.pk, state=Delivery.State.WAITING, due_at__lte=now - LATE
        ).order_by("due_at")
        if (first := due.values_list("due_at", flat=True).first()) is not None:
            late.append((first, state))
    if not late:
        return ok(_("No sending is late."))
    oldest, state = min(late, key=lambda pair: pair[0])
    moves = state.last_success_at is not None and now - state.last_success_at < LATE
    sentence = _("The oldest sending to %(name)s is due since %(ago)s.") % {
        "name": clip(str(state.destination), 80),
        "ago": ago(oldest, now).removesuffix(" ago"),
    }
    if moves:
        return warning(
            _("%(sentence)s Leads do go out meanwhile.") % {"sentence": sentence},
            _("If that lasts, raise “Pushes at once” at %(url)s, or start another worker.")
            % {"url": _address_of(state)},
        )
    return wrong(
        _("%(sentence)s None goes out.") % {"sentence": sentence},
        _(
            "See what the worker's log says, and start it again; then open the connection at %(url)s and press Test "
            "connection."
        )
        % {"url": _address_of(state)},
    )


def connections(scene: Scene) -> Finding:
    states = DestinationState.objects.exclude(destination__connector="demo")
    sick = list(
        states.exclude(state=State.WORKING, reason="")
        .select_related("destination")
        .defer("destination__secrets")
        .order_by("since")[: NAMED + 1]
    )
    if not sick:
        return _none_fails(states)
    said = "; ".join(
        f"{clip(str(state.destination), 60)}: {connection_words.connection_standing(state).label.casefold()}"
        f"{mails.because(state.reason)}"
        for state in sick[:NAMED]
    )
    more = " …" if len(sick) > NAMED else ""
    fix = _("Open it at %(url)s and press Test connection or Resume.") % {"url": _address_of(sick[0])}
    stopped = any(state.state == State.STOPPED for state in sick)
    return (wrong if stopped else warning)(f"{said}{more}.", fix)


def _address_of(state: DestinationState) -> str:
    return f"{settings.PUBLIC_URL}/admin/crm_sync/destination/{state.pk}/change/"


def _none_fails(states: "QuerySet[DestinationState]") -> Finding:
    number = states.count()
    if not number:
        return ok(_("No CRM is connected yet: leads wait here."))
    known = states.select_related("destination").defer("destination__secrets")
    untested = next((state for state in known if state.is_untested), None)
    if untested:
        return warning(
            _("%(name)s was not tested yet: nobody knows whether it works.")
            % {"name": clip(str(untested.destination), 60)},
            _("Open it at %(url)s and press Test connection.") % {"url": _address_of(untested)},
        )
    return ok(
        ngettext("%(number)d CRM connection works.", "All %(number)d CRM connections work.", number)
        % {"number": number}
    )


# --- Mail ----------------------------------------------------------------------------------------------------


def mail(scene: Scene) -> Finding:
    if not mailing.are_sent():
        return warning(
            _("Nobody will be told of failures: EMAIL_URL names no mail server. Mails only go to the log."),
            "EMAIL_URL=smtp+tls://user:password@smtp.example.com:587",
        )
    if settings.EMAIL_BACKEND == SMTP and (refused := _knock()):
        return refused
    if settings.DEFAULT_FROM_EMAIL.endswith("@localhost"):
        return warning(
            _("Mails come from %(sender)s, which most mail servers refuse.")
            % {"sender": settings.DEFAULT_FROM_EMAIL},
            _("In .env, an address of your own domain: DEFAULT_FROM_EMAIL=leads@contoso.com"),
        )
    if scene.database is None and not outages.recipients():
        return warning(
            _("Nobody will be told of failures: no user who is to be told has an e-mail address."),
            _(
                "Enter one at %(url)s/admin/auth/user/, for somebody of the group Administrator or Partner manager."
            )
            % {"url": settings.PUBLIC_URL},
        )
    return ok(_("The mail server lets us in; nothing was sent."))


def _knock() -> Finding | None:
    """Sign in to the mail server and leave again, as a mail would; None where that went well."""
    host, port = settings.EMAIL_HOST, int(settings.EMAIL_PORT)
    shown = {"host": f"{host}:{port}"}
    fix = _("Correct EMAIL_URL in .env: smtp+tls://user:password@host:587, or smtp+ssl:// for port 465.")
    try:
        reach.resolve(host, port)
    except OSError as error:
        return wrong(_("Mail cannot be sent. %(why)s") % {"why": name_unknown(clip(host), error)}, fix)
    server = get_connection(timeout=reach.SECONDS)
    try:
        server.open()
        if isinstance(server, EmailBackend) and server.connection is not None:
            server.connection.noop()
    except smtplib.SMTPAuthenticationError as error:
        said = clip(_text(error.smtp_error), 200)
        return wrong(
            _("The mail server %(host)s refuses our sign-in: %(said)s") % {**shown, "said": said},
            _(
                "Correct user and password in EMAIL_URL (special characters percent-encoded), and start again."
            ),
        )
    except (smtplib.SMTPException, OSError) as error:
        said = clip(_because(error), 200)
        return wrong(
            _("The mail server %(host)s does not let us in: %(said)s.") % {**shown, "said": said}, fix
        )
    finally:
        server.close()
    return None


def _because(error: OSError) -> str:
    """What the mail server says, or what kept us from it, without a full stop."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}".rstrip(".")
    if isinstance(error, smtplib.SMTPException):
        return str(error).rstrip(".")
    return because(error)


def _text(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words


def _count(rows: "QuerySet[Lead]") -> int:
    return rows.order_by()[: MOST + 1].count()


def _shown(number: int) -> str:
    return f"{MOST:,}+" if number > MOST else f"{number:,}"


def _first(rows: "QuerySet[Lead]", field: str) -> datetime:
    first: datetime = rows.order_by(field, "id").values_list(field, flat=True)[0]
    return first
