"""Fills a database with leads by the million, as routing and the worker leave them. Reproducible: no randomness."""

from urllib.parse import urlsplit

import psycopg

BATCH = 100_000

# Spread over a thousand days before now, newest last, as the ids of the rows are.
_SUBMISSIONS = """
    INSERT INTO leads_submission (id, offer_id, endpoint_id, origin, received_at, times_received, remote_addr, headers,
        content_type, body, body_digest, verdict, reason, problems, repaired)
    SELECT {id}, offer.id, endpoint.id, 'endpoint', {at}, 1, '203.0.113.7', '{{"User-Agent": "fill"}}',
        'application/json', convert_to({body}, 'UTF8'), encode(sha256(convert_to(n::text, 'UTF8')), 'hex'), 'lead',
        '', '[]', ''
    FROM generate_series(%(first)s, %(last)s) n, leads_offer offer JOIN leads_endpoint endpoint ON
        endpoint.offer_id = offer.id
    WHERE offer.id = (SELECT max(id) FROM leads_offer)
"""
_LEADS = """
    INSERT INTO leads_lead (id, submission_id, offer_id, received_at, first_name, last_name, email, phone, company,
        title, country, lead_source, source, action, offer_title, sent_publisher_id, sent_offer_id, description,
        campaign, extra, is_test, is_sample, routed_at, tidy_email, tidy_phone, tidy_country, grouped_by, status,
        closed_reason)
    SELECT {id}, {id}, offer.id, {at}, 'Jane', 'Doe', 'jane.' || n || '@contoso.example', '+1 425 555 0134',
        'Contoso Ltd', 'IT director', 'US', 'AzureMarketplace-INS|contoso.backup', 'AzureMarketplace', 'INS',
        'Contoso Backup', 'contoso', 'backup', {description}, '{{}}', '{{}}', false, false, {at},
        'jane.' || n || '@contoso.example', '+14255550134', 'US', '', 'new', ''
    FROM generate_series(%(first)s, %(last)s) n, leads_offer offer
    WHERE offer.id = (SELECT max(id) FROM leads_offer)
"""
_PARTS = {
    "id": "lpad(to_hex(n), 32, '0')::uuid",
    "at": "now() - (%(all)s - n) * interval '1000 days' / %(all)s",
    "description": "repeat('A customer asked to be shown how a restore of four hundred mailboxes works. ', 2)",
    "body": """'{{"UserDetails": {{"Email": "jane.' || n || '@contoso.example"}}, "Description": "'
        || repeat('A customer asked to be shown how a restore works. ', 8) || '"}}'""",
}


def postgres(url: str, leads: int) -> None:
    """Put that many leads of the newest offer into a PostgreSQL database, and let it gather its statistics."""
    if not urlsplit(url).scheme.startswith("postgres"):
        raise ValueError("A PostgreSQL URL is needed.")
    with psycopg.connect(url, autocommit=True) as connection:
        for first in range(1, leads + 1, BATCH):
            values = {"first": first, "last": min(first + BATCH - 1, leads), "all": leads}
            for statement in (_SUBMISSIONS, _LEADS):
                connection.execute(statement.format(**_PARTS).replace("{{", "{").replace("}}", "}"), values)
        connection.execute("VACUUM ANALYZE")
