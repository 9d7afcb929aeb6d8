"""Sandbox providers: real servers on loopback that speak the vendors' protocols, with an inbox to look at.

`python -m devstack.sandbox --http-port 8025 --smtp-port 1025` serves, on the HTTP port:

| path | is |
|---|---|
| `/` | the inbox page: phones and mailboxes, live, with the switches and fault knobs |
| `/sendgrid` | SendGrid v3; the API key is in sendgrid.py |
| `/fcm` | FCM HTTP v1; `/fcm/service-account.json` has the credentials, `/fcm/token` is the token endpoint |
| `/twilio` | Twilio Messages; account and token are in twilio.py |
| `/meta/v23.0` | WhatsApp Cloud API; phone number id and token are in meta.py |
| `/profiles/{id}` | a User Profile Service (profiles.py has the JSON format) |
| `/api/inbox` | what was accepted (`?channel=&to=&key=&provider=&since=&limit=`); DELETE empties it |
| `/api/inbox/count`, `/api/inbox/{id}`, `/api/inbox/stream` | counts and duplicates, one entry, server-sent events |
| `/api/providers` | the switches: `PUT /api/providers/{name} {"enabled": false}` |
| `/api/faults` | the knobs: `PUT` or `DELETE /api/faults/{provider}[/{recipient}]` (faults.py has the document) |
| `/api/receipts` | receipts to webhooks: `PUT` or `DELETE /api/receipts/{provider}` (receipts.py has the document) |
| `/api/replies/twilio` | a recipient writes back: `POST {"from": "+49...", "body": "STOP"}` (replies.py) |

Receipts and replies are signed by what `TIDINGS_DEV_SANDBOX_SECRET` says, and go below `--webhooks`.

Anything is accepted, except what the vendor would refuse, and these test addresses, each with the vendor's own error:

| address | gets |
|---|---|
| e-mail `bounce...@` | 550 5.1.1 no such user |
| e-mail `nodomain...@` | 550 5.1.2 |
| e-mail `full...@` | 452 4.2.2 mailbox full |
| e-mail `greylist...@` | 450 4.7.1, the first time that the address is tried |
| e-mail `blocked...@` | 550 5.7.1 policy (as a sender too) |
| SendGrid to `bounce...@`, `blocked...@` | 202 and, with receipts on, a hard or a soft `bounce` later |
| SendGrid from `unverified...@` | 403 not a verified sender |
| token `dead-...` | 404 UNREGISTERED |
| token `foreign-...` | 403 SENDER_ID_MISMATCH |
| token `invalid-...` | 400 INVALID_ARGUMENT, naming `message.token` |
| token `apns-auth-...` | 401 THIRD_PARTY_AUTH_ERROR |
| token `busy-...` | 429 QUOTA_EXCEEDED with `Retry-After: 60` |
| Twilio to +15005550001 | 21211 not a valid number |
| Twilio to +15005550002 | 21612 no route |
| Twilio to +15005550003 | 21408 no permission for the region |
| Twilio to +15005550004 | 21610 opted out |
| Twilio to +15005550009 | 21614 not a mobile number |
| Twilio to +15005550029 | 20429 too many requests, 429 |
| Twilio from +15005550001 | 21212 not a valid sender |
| Twilio from +15005550007 | 21606 not the account's |
| Twilio from +15005550008 | 21611 queue full, 429 |
| WhatsApp to +15005551026 | 131026 undeliverable (not on WhatsApp) |
| WhatsApp to +15005551047 | 131047 outside the 24 h window |
| WhatsApp to +15005551049 | 131049 Meta chose not to deliver |
| WhatsApp to +15005551050 | 131050 stopped marketing messages |
| WhatsApp to +15005551056 | 131056 too many messages to this user, 429 |
| WhatsApp to +15005550472 | 130472 part of an experiment |
| WhatsApp to +15005550429 | 130429 throughput reached, 429 |
| WhatsApp to +15005551031 | 131031 account locked |
| template `missing_...` | 132001 no such template in this language |
| template `mismatch_...` | 132000 wrong number of parameters |
| template `paused_...`, `disabled_...` | 132015, 132016 |
"""
