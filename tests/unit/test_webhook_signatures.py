"""What we sign, the reference takes; what the reference signs, our helper takes; and neither takes anything else."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from standardwebhooks.webhooks import Webhook as Reference

from taskflow_client import WebhookInvalid, verify_webhook
from taskflow_core.settings import Settings
from taskflow_core.states import SignatureScheme
from taskflow_core.webhooks.secrets import SecretBox, SecretUnreadable, make_secret, public_key_of
from taskflow_core.webhooks.signing import signed_headers

NOW = 1_780_000_000
BODY = json.dumps({"type": "task.success", "version": 1, "sequence": 3, "new_field": {}}).encode()
SECRET = make_secret(SignatureScheme.HMAC_SHA256)
OTHER = make_secret(SignatureScheme.HMAC_SHA256)
PRIVATE = make_secret(SignatureScheme.ED25519)
PUBLIC = public_key_of(PRIVATE, SignatureScheme.ED25519)


def test_our_signature_is_that_of_the_reference():
    headers = signed_headers([SECRET], "msg_1", NOW, BODY)
    signed = Reference(SECRET).sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    assert headers["webhook-signature"] == signed


def test_the_helper_takes_a_signed_event_whatever_the_case_of_headers():
    headers = {name.title(): value for name, value in signed_headers([SECRET], "msg_1", NOW, BODY).items()}
    event = verify_webhook(BODY, headers, SECRET, now=NOW)
    assert (event.type, event.sequence) == ("task.success", 3)


def test_during_a_rotation_either_secret_fits_on_either_side():
    both = signed_headers([SECRET, OTHER], "msg_1", NOW, BODY)
    assert verify_webhook(BODY, both, OTHER, now=NOW).type == "task.success"
    one = signed_headers([OTHER], "msg_1", NOW, BODY)
    assert verify_webhook(BODY, one, [SECRET, OTHER], now=NOW).type == "task.success"


@pytest.mark.parametrize(
    ("changes", "seconds", "why"),
    [
        ({"webhook-id": "msg_2"}, 0, "no signature fits"),
        ({"webhook-timestamp": str(NOW + 1)}, 0, "no signature fits"),
        ({"webhook-timestamp": "soon"}, 0, "not a number"),
        ({"webhook-signature": "v1a,AAAA v2,AAAA v1,é"}, 0, "no signature fits"),
        ({}, 301, "too far from now"),
        ({}, -301, "too far from now"),
    ],
)
def test_the_helper_refuses_what_was_not_sent_like_this(changes: dict[str, str], seconds: int, why: str):
    headers = signed_headers([SECRET], "msg_1", NOW, BODY) | changes
    with pytest.raises(WebhookInvalid, match=why):
        verify_webhook(BODY, headers, SECRET, now=NOW + seconds)


def test_the_helper_refuses_another_body_another_secret_and_missing_headers():
    headers = signed_headers([SECRET], "msg_1", NOW, BODY)
    for body, secret in ((BODY + b" ", SECRET), (BODY, OTHER)):
        with pytest.raises(WebhookInvalid):
            verify_webhook(body, headers, secret, now=NOW)
    with pytest.raises(WebhookInvalid, match="webhook-id"):
        verify_webhook(BODY, {}, SECRET, now=NOW)
    signed = signed_headers([SECRET], "msg_1", NOW, b"not JSON")
    with pytest.raises(WebhookInvalid, match="no event"):
        verify_webhook(b"not JSON", signed, SECRET, now=NOW)


def test_the_helper_takes_what_the_private_key_signed_by_the_public_key_and_nothing_else():
    headers = signed_headers([PRIVATE], "msg_1", NOW, BODY)
    assert headers["webhook-signature"].startswith("v1a,")
    assert verify_webhook(BODY, headers, PUBLIC, now=NOW).type == "task.success"
    foreign = public_key_of(make_secret(SignatureScheme.ED25519), SignatureScheme.ED25519)
    both = signed_headers([PRIVATE, make_secret(SignatureScheme.ED25519)], "msg_1", NOW, BODY)
    assert verify_webhook(BODY, both, [foreign, PUBLIC], now=NOW).type == "task.success"
    for body, changes, key, now in (
        (BODY + b" ", {}, PUBLIC, NOW),
        (BODY, {"webhook-id": "msg_2"}, PUBLIC, NOW),
        (BODY, {"webhook-signature": "v1a,AAAA v1a,é"}, PUBLIC, NOW),
        (BODY, {}, PUBLIC, NOW + 301),
        (BODY, {}, foreign, NOW),
        (BODY, {}, SECRET, NOW),
    ):
        with pytest.raises(WebhookInvalid):
            verify_webhook(body, headers | changes, key, now=now)


def test_who_knows_only_the_public_key_can_sign_nothing():
    forged = signed_headers(["whsec_" + PUBLIC.removeprefix("whpk_")], "msg_1", NOW, BODY)
    with pytest.raises(WebhookInvalid):
        verify_webhook(BODY, forged, PUBLIC, now=NOW)
    renamed = forged | {"webhook-signature": forged["webhook-signature"].replace("v1,", "v1a,")}
    with pytest.raises(WebhookInvalid):
        verify_webhook(BODY, renamed, PUBLIC, now=NOW)


@pytest.mark.parametrize("key", [PRIVATE, "whsec_no base64", "whpk_no base64", "whpk_AAAA"])
def test_what_is_no_key_of_a_receiver_is_told_even_beside_one_that_fits(key: str):
    with pytest.raises(ValueError, match="key"):
        verify_webhook(BODY, signed_headers([SECRET, PRIVATE], "msg_1", NOW, BODY), [SECRET, key], now=NOW)


def test_ed25519_secrets_have_a_public_key_and_shared_ones_have_none():
    assert public_key_of(make_secret(SignatureScheme.ED25519), SignatureScheme.ED25519).startswith("whpk_")
    assert public_key_of(SECRET, SignatureScheme.HMAC_SHA256) == ""


def test_what_is_sealed_opens_only_for_its_webhook_and_purpose():
    box, webhook_id = SecretBox.of(Settings(secret_key="k")), uuid4()
    sealed = box.seal(SECRET, webhook_id, "secret")
    assert box.open(sealed, webhook_id, "secret") == SECRET
    assert SECRET.encode() not in sealed
    assert box.seal(SECRET, webhook_id, "secret") != sealed
    for other, of, purpose in (
        (box, uuid4(), "secret"),
        (box, webhook_id, "headers"),
        (SecretBox.of(Settings(secret_key="l")), webhook_id, "secret"),
    ):
        with pytest.raises(SecretUnreadable):
            other.open(sealed, of, purpose)
