-- What the sweep forgets after a month: messages that were not believed, whoever sent them.
CREATE INDEX "notification_unbelieved" ON "notification" ("received_at")
  WHERE "verdict" IN ('malformed', 'bad_signature', 'stale', 'unknown_serial', 'undecryptable', 'probe', 'not_success');
