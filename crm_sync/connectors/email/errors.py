"""How mail servers refuse: the error table. Pure."""

from crm_sync.connectors.answers import ErrorRow, fault, later, rejected, throttled
from crm_sync.connectors.email.smtp import END
from leads.texts import gettext_noop

_GREY = 300.0  # seconds, after which who greylists takes the same mail

_REPLIES = "https://www.rfc-editor.org/rfc/rfc5321#section-4.2.3, 2026-11"
_SIGN_IN = "https://www.rfc-editor.org/rfc/rfc4954#section-6, 2026-11"
_TLS = "https://www.rfc-editor.org/rfc/rfc3207#section-4, 2026-11"
_GMAIL = "https://support.google.com/a/answer/3726730, 2026-11"
_NO_PASSWORDS = (
    "https://techcommunity.microsoft.com/blog/exchange/"
    "exchange-online-to-retire-basic-auth-for-client-submission-smtp-auth/4114750, 2026-11"
)
_EXCHANGE = "https://learn.microsoft.com/en-us/exchange/troubleshoot/send-emails/smtp-submission-improvements, 2026-11"

_SLOW_DOWN = r"(?i)too many|too quickly|\brate\b|\blimit"
_TO_WHOM = gettext_noop(
    "The mail server does not take the recipient: correct To on the connection, or the mailbox"
)
_FROM_WHOM = gettext_noop("The mail server takes no mail from this sender: correct From on the connection")
_POLICY = gettext_noop("The mail server refuses what this mail says, as spam or by a rule")

ERRORS = (
    ErrorRow(421, _SLOW_DOWN, throttled, _GMAIL, gettext_noop("The mail server asks to slow down")),
    ErrorRow(421, "", later, _REPLIES, gettext_noop("The mail server is closing")),
    ErrorRow(432, "", throttled, _EXCHANGE, gettext_noop("Too many connections to this mailbox at once")),
    ErrorRow(450, _SLOW_DOWN, throttled, _GMAIL, gettext_noop("The mail server asks to slow down"), _GREY),
    ErrorRow(
        450,
        "",
        later,
        _REPLIES,
        gettext_noop("The mailbox cannot be reached, or the server greylists"),
        _GREY,
    ),
    ErrorRow(451, "", later, _REPLIES, gettext_noop("The mail server is in trouble, or greylists"), _GREY),
    ErrorRow(452, "", later, _REPLIES, gettext_noop("The mail server has no room now")),
    ErrorRow(454, "", later, _TLS, gettext_noop("Encryption or sign-in is not available now")),
    ErrorRow(530, "", fault, _SIGN_IN, gettext_noop("EMAIL_URL must name user and password, or encryption")),
    ErrorRow(
        534, "", fault, _SIGN_IN, gettext_noop("The mail server wants another way to sign in than a password")
    ),
    ErrorRow(
        535,
        "",
        fault,
        _SIGN_IN,
        gettext_noop("The mail server does not accept user and password of EMAIL_URL"),
    ),
    ErrorRow(
        538,
        "",
        fault,
        _SIGN_IN,
        gettext_noop("EMAIL_URL must ask for encryption: smtp+tls:// or smtp+ssl://"),
    ),
    ErrorRow(
        550,
        r"\b5\.7\.30\b",
        fault,
        _NO_PASSWORDS,
        gettext_noop("Exchange Online takes no password: use a relay"),
    ),
    ErrorRow(
        550,
        r"\b5\.4\.5\b",
        throttled,
        _GMAIL,
        gettext_noop("The day's limit of the mail account is reached"),
    ),
    ErrorRow(
        554,
        "SubmissionQuota",
        throttled,
        _EXCHANGE,
        gettext_noop("The day's limit of the mailbox is reached"),
    ),
    ErrorRow(
        554,
        r"\b5\.2\.2\b",
        fault,
        _EXCHANGE,
        gettext_noop("The sender's mailbox is full: it can send nothing"),
    ),
    *(ErrorRow(code, "^RCPT TO", fault, _REPLIES, _TO_WHOM) for code in (550, 551, 553, 554)),
    *(ErrorRow(code, "^MAIL FROM", fault, _REPLIES, _FROM_WHOM) for code in (550, 553)),
    ErrorRow(
        552,
        f"^(MAIL FROM|DATA|{END})",
        rejected,
        _REPLIES,
        gettext_noop("The mail is larger than the server takes"),
    ),
    *(ErrorRow(code, f"^{END}", rejected, _REPLIES, _POLICY) for code in (550, 554)),
)
