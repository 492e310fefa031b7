-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "product" (
    "product_id" VARCHAR(32) NOT NULL,
    "title" VARCHAR(128) NOT NULL,
    "description" TEXT NOT NULL,
    "price_fen" INTEGER NOT NULL,
    "picture" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "on_sale" BOOLEAN NOT NULL DEFAULT true,

    CONSTRAINT "product_pkey" PRIMARY KEY ("product_id")
);

-- CreateTable
CREATE TABLE "order" (
    "order_no" VARCHAR(32) NOT NULL,
    "session_id" VARCHAR(64) NOT NULL,
    "checkout_key" VARCHAR(64) NOT NULL,
    "openid" VARCHAR(128),
    "state" VARCHAR(16) NOT NULL,
    "title" VARCHAR(128) NOT NULL,
    "total_fen" INTEGER NOT NULL,
    "paid_trade_no" VARCHAR(32),
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "paid_at" TIMESTAMPTZ(3),
    "served_at" TIMESTAMPTZ(3),
    "closed_at" TIMESTAMPTZ(3),

    CONSTRAINT "order_pkey" PRIMARY KEY ("order_no")
);

-- CreateTable
CREATE TABLE "order_item" (
    "order_no" VARCHAR(32) NOT NULL,
    "line" INTEGER NOT NULL,
    "product_id" VARCHAR(32) NOT NULL,
    "title" VARCHAR(128) NOT NULL,
    "price_fen" INTEGER NOT NULL,
    "quantity" INTEGER NOT NULL,

    CONSTRAINT "order_item_pkey" PRIMARY KEY ("order_no","line")
);

-- CreateTable
CREATE TABLE "trade" (
    "out_trade_no" VARCHAR(32) NOT NULL,
    "order_no" VARCHAR(32) NOT NULL,
    "mch_id" VARCHAR(32) NOT NULL,
    "appid" VARCHAR(32) NOT NULL,
    "sub_mch_id" VARCHAR(32),
    "sub_appid" VARCHAR(32),
    "api_version" VARCHAR(2) NOT NULL,
    "sign_type" VARCHAR(32) NOT NULL,
    "trade_type" VARCHAR(16) NOT NULL,
    "trade_state" VARCHAR(16) NOT NULL,
    "total_fen" INTEGER NOT NULL,
    "openid" VARCHAR(128),
    "request" JSONB NOT NULL,
    "prepay_id" VARCHAR(128),
    "prepay_at" TIMESTAMPTZ(3),
    "code_url" TEXT,
    "h5_url" TEXT,
    "placing_until" TIMESTAMPTZ(3),
    "asked_at" TIMESTAMPTZ(3),
    "transaction_id" VARCHAR(64),
    "payer_total_fen" INTEGER,
    "bank_type" VARCHAR(32),
    "success_at" TIMESTAMPTZ(3),
    "surplus" VARCHAR(8),
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "closed_at" TIMESTAMPTZ(3),

    CONSTRAINT "trade_pkey" PRIMARY KEY ("out_trade_no")
);

-- CreateTable
CREATE TABLE "notification" (
    "id" UUID NOT NULL,
    "received_at" TIMESTAMPTZ(3) NOT NULL,
    "api_version" VARCHAR(2) NOT NULL,
    "kind" VARCHAR(16) NOT NULL,
    "headers" JSONB NOT NULL,
    "body" BYTEA NOT NULL,
    "verdict" VARCHAR(24) NOT NULL,
    "detail" TEXT NOT NULL,
    "out_trade_no" VARCHAR(64),

    CONSTRAINT "notification_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "event" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "order_no" VARCHAR(32),
    "out_trade_no" VARCHAR(64),
    "kind" VARCHAR(32) NOT NULL,
    "source" VARCHAR(16) NOT NULL,
    "data" JSONB NOT NULL,
    "notification_id" UUID,

    CONSTRAINT "event_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "session" (
    "id" VARCHAR(64) NOT NULL,
    "kind" VARCHAR(8) NOT NULL,
    "openid" VARCHAR(128),
    "admin_id" VARCHAR(32),
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "session_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "oauth_state" (
    "state" VARCHAR(64) NOT NULL,
    "session_id" VARCHAR(64) NOT NULL,
    "return_path" VARCHAR(256) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "used_at" TIMESTAMPTZ(3),

    CONSTRAINT "oauth_state_pkey" PRIMARY KEY ("state")
);

-- CreateTable
CREATE TABLE "admin" (
    "id" VARCHAR(32) NOT NULL,
    "username" VARCHAR(64) NOT NULL,
    "password_hash" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "disabled" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "admin_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "login_attempt" (
    "id" BIGSERIAL NOT NULL,
    "username" VARCHAR(64) NOT NULL,
    "ip" VARCHAR(64) NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "ok" BOOLEAN NOT NULL,

    CONSTRAINT "login_attempt_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "order_created_at_order_no_idx" ON "order"("created_at" DESC, "order_no" DESC);

-- CreateIndex
CREATE INDEX "order_openid_created_at_idx" ON "order"("openid", "created_at" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "order_session_id_checkout_key_key" ON "order"("session_id", "checkout_key");

-- CreateIndex
CREATE UNIQUE INDEX "trade_transaction_id_key" ON "trade"("transaction_id");

-- CreateIndex
CREATE INDEX "trade_order_no_idx" ON "trade"("order_no");

-- CreateIndex
CREATE INDEX "notification_received_at_id_idx" ON "notification"("received_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "notification_out_trade_no_idx" ON "notification"("out_trade_no");

-- CreateIndex
CREATE INDEX "event_order_no_id_idx" ON "event"("order_no", "id");

-- CreateIndex
CREATE INDEX "session_expires_at_idx" ON "session"("expires_at");

-- CreateIndex
CREATE INDEX "oauth_state_created_at_idx" ON "oauth_state"("created_at");

-- CreateIndex
CREATE UNIQUE INDEX "admin_username_key" ON "admin"("username");

-- CreateIndex
CREATE INDEX "login_attempt_username_at_idx" ON "login_attempt"("username", "at");

-- CreateIndex
CREATE INDEX "login_attempt_at_idx" ON "login_attempt"("at");

-- AddForeignKey
ALTER TABLE "order_item" ADD CONSTRAINT "order_item_order_no_fkey" FOREIGN KEY ("order_no") REFERENCES "order"("order_no") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "trade" ADD CONSTRAINT "trade_order_no_fkey" FOREIGN KEY ("order_no") REFERENCES "order"("order_no") ON DELETE RESTRICT ON UPDATE CASCADE;


-- What Prisma cannot spell: byte-order numbers (a prefix search uses the unique index), money that is never
-- zero or negative, states that are only WeChat's words.
ALTER TABLE "order" ALTER COLUMN "order_no" TYPE VARCHAR(32) COLLATE "C";
ALTER TABLE "trade" ALTER COLUMN "out_trade_no" TYPE VARCHAR(32) COLLATE "C";
ALTER TABLE "trade" ALTER COLUMN "transaction_id" TYPE VARCHAR(64) COLLATE "C";

ALTER TABLE "product" ADD CONSTRAINT "product_price_positive" CHECK ("price_fen" > 0);
ALTER TABLE "order" ADD CONSTRAINT "order_total_positive" CHECK ("total_fen" > 0);
ALTER TABLE "order" ADD CONSTRAINT "order_state_known" CHECK ("state" IN ('NOTPAY', 'SUCCESS', 'REFUND', 'CLOSED'));
ALTER TABLE "order" ADD CONSTRAINT "order_paid_has_trade"
  CHECK ("state" NOT IN ('SUCCESS', 'REFUND') OR ("paid_trade_no" IS NOT NULL AND "paid_at" IS NOT NULL));
ALTER TABLE "order_item" ADD CONSTRAINT "order_item_positive" CHECK ("price_fen" > 0 AND "quantity" > 0);
ALTER TABLE "trade" ADD CONSTRAINT "trade_total_positive" CHECK ("total_fen" > 0);
ALTER TABLE "trade" ADD CONSTRAINT "trade_state_known" CHECK (
  "trade_state" IN ('NOTPAY', 'USERPAYING', 'SUCCESS', 'REFUND', 'CLOSED', 'REVOKED', 'PAYERROR'));
ALTER TABLE "trade" ADD CONSTRAINT "trade_paid_has_evidence" CHECK (
  "trade_state" NOT IN ('SUCCESS', 'REFUND') OR ("transaction_id" IS NOT NULL AND "success_at" IS NOT NULL));
ALTER TABLE "trade" ADD CONSTRAINT "trade_surplus_known" CHECK ("surplus" IN ('late', 'double'));
ALTER TABLE "session" ADD CONSTRAINT "session_kind_known" CHECK ("kind" IN ('shopper', 'admin'));

-- Open trades are few and die young: the sweeper's way to find the ones nobody has asked about.
CREATE INDEX "trade_open" ON "trade" ("created_at") WHERE "trade_state" IN ('NOTPAY', 'USERPAYING');
-- Surplus money is rare and must never be missed.
CREATE INDEX "trade_surplus" ON "trade" ("success_at") WHERE "surplus" IS NOT NULL;
