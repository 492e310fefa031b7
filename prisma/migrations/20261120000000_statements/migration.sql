-- CreateTable
CREATE TABLE "statement_day" (
    "mch_id" VARCHAR(32) NOT NULL,
    "bill_date" DATE NOT NULL,
    "api_version" VARCHAR(2) NOT NULL,
    "state" VARCHAR(16) NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "rows" INTEGER NOT NULL DEFAULT 0,
    "payments" INTEGER NOT NULL DEFAULT 0,
    "payment_fen" BIGINT NOT NULL DEFAULT 0,
    "refunds" INTEGER NOT NULL DEFAULT 0,
    "refund_fen" BIGINT NOT NULL DEFAULT 0,
    "fee_e5" BIGINT NOT NULL DEFAULT 0,
    "our_payments" INTEGER NOT NULL DEFAULT 0,
    "our_payment_fen" BIGINT NOT NULL DEFAULT 0,
    "settled" INTEGER NOT NULL DEFAULT 0,
    "sha256" VARCHAR(64),
    "problem" TEXT NOT NULL DEFAULT '',
    "tried_at" TIMESTAMPTZ(3) NOT NULL,
    "compared_at" TIMESTAMPTZ(3),

    CONSTRAINT "statement_day_pkey" PRIMARY KEY ("mch_id","bill_date")
);

-- CreateTable
CREATE TABLE "statement_chunk" (
    "mch_id" VARCHAR(32) NOT NULL,
    "bill_date" DATE NOT NULL,
    "part" INTEGER NOT NULL,
    "data" BYTEA NOT NULL,

    CONSTRAINT "statement_chunk_pkey" PRIMARY KEY ("mch_id","bill_date","part")
);

-- CreateTable
CREATE TABLE "difference" (
    "id" BIGSERIAL NOT NULL,
    "mch_id" VARCHAR(32) NOT NULL,
    "bill_date" DATE NOT NULL,
    "kind" VARCHAR(16) NOT NULL,
    "subject" VARCHAR(64) NOT NULL,
    "out_trade_no" VARCHAR(64),
    "ours" JSONB NOT NULL,
    "theirs" JSONB NOT NULL,
    "found_at" TIMESTAMPTZ(3) NOT NULL,
    "resolved_at" TIMESTAMPTZ(3),
    "resolution" VARCHAR(200),
    "resolved_by" VARCHAR(64),

    CONSTRAINT "difference_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "statement_day_bill_date_idx" ON "statement_day"("bill_date" DESC);

-- CreateIndex
CREATE INDEX "difference_found_at_idx" ON "difference"("found_at" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "difference_mch_id_bill_date_kind_subject_key" ON "difference"("mch_id", "bill_date", "kind", "subject");


ALTER TABLE "statement_day" ADD CONSTRAINT "statement_state_known" CHECK (
  "state" IN ('WAITING', 'COMPARED', 'EMPTY', 'REFUSED'));
ALTER TABLE "difference" ADD CONSTRAINT "difference_kind_known" CHECK (
  "kind" IN ('missing_here', 'missing_there', 'amount', 'state', 'refund', 'fee', 'foreign', 'repeated'));
CREATE INDEX "difference_open" ON "difference" ("found_at") WHERE "resolved_at" IS NULL;

-- A day of payments is compared by when WeChat took the money.
CREATE INDEX "trade_paid" ON "trade" ("success_at") WHERE "success_at" IS NOT NULL;
