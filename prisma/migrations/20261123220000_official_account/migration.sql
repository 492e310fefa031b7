-- CreateTable
CREATE TABLE "credential" (
    "appid" VARCHAR(32) NOT NULL,
    "kind" VARCHAR(16) NOT NULL,
    "value" VARCHAR(2048) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "refreshing_until" TIMESTAMPTZ(3),
    "refresher" UUID,
    "retry_at" TIMESTAMPTZ(3),
    "failed_code" VARCHAR(32),
    "failed_text" VARCHAR(512),
    "forced_at" TIMESTAMPTZ(3),

    CONSTRAINT "credential_pkey" PRIMARY KEY ("appid","kind")
);

-- CreateTable
CREATE TABLE "account_fault" (
    "call" VARCHAR(32) NOT NULL,
    "errcode" INTEGER,
    "code" VARCHAR(32) NOT NULL,
    "errmsg" VARCHAR(512) NOT NULL,
    "times" INTEGER NOT NULL,
    "first_at" TIMESTAMPTZ(3) NOT NULL,
    "last_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "account_fault_pkey" PRIMARY KEY ("call")
);

-- CreateTable
CREATE TABLE "account_message" (
    "id" UUID NOT NULL,
    "dedupe_key" VARCHAR(255) NOT NULL,
    "received_at" TIMESTAMPTZ(3) NOT NULL,
    "sealed" VARCHAR(8) NOT NULL,
    "msg_type" VARCHAR(32) NOT NULL,
    "event" VARCHAR(64) NOT NULL,
    "openid" VARCHAR(128) NOT NULL,
    "body" BYTEA NOT NULL,
    "worked_at" TIMESTAMPTZ(3),

    CONSTRAINT "account_message_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "order_message" (
    "order_no" VARCHAR(32) NOT NULL,
    "openid" VARCHAR(128) NOT NULL,
    "kind" VARCHAR(16) NOT NULL,
    "template_id" VARCHAR(64) NOT NULL,
    "state" VARCHAR(16) NOT NULL,
    "sending_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),
    "msgid" VARCHAR(32),
    "code" VARCHAR(32),
    "delivery" VARCHAR(64),
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "order_message_pkey" PRIMARY KEY ("order_no")
);

-- CreateIndex
CREATE UNIQUE INDEX "account_message_dedupe_key_key" ON "account_message"("dedupe_key");

-- CreateIndex
CREATE INDEX "account_message_received_at_idx" ON "account_message"("received_at");

-- CreateIndex
CREATE INDEX "order_message_msgid_idx" ON "order_message"("msgid");

-- What Prisma cannot spell: a message that ended says when, and one that was sent has no refusal.
ALTER TABLE "order_message" ADD CONSTRAINT "order_message_state" CHECK (
    "state" IN ('WAITING', 'SENDING', 'SENT', 'REFUSED', 'UNKNOWN')
    AND ("ended_at" IS NULL) = ("state" IN ('WAITING', 'SENDING')));
