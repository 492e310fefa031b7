-- CreateTable
CREATE TABLE "refund" (
    "out_refund_no" VARCHAR(64) NOT NULL,
    "out_trade_no" VARCHAR(32) NOT NULL,
    "order_no" VARCHAR(32) NOT NULL,
    "command_key" VARCHAR(96) NOT NULL,
    "origin" VARCHAR(8) NOT NULL,
    "state" VARCHAR(16) NOT NULL,
    "refund_fen" INTEGER NOT NULL,
    "total_fen" INTEGER NOT NULL,
    "reason" VARCHAR(80) NOT NULL,
    "requested_by" VARCHAR(32),
    "refund_id" VARCHAR(64),
    "refused_code" VARCHAR(64),
    "user_received_account" VARCHAR(64),
    "asked_at" TIMESTAMPTZ(3),
    "sending_until" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "success_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "refund_pkey" PRIMARY KEY ("out_refund_no")
);

-- CreateTable
CREATE TABLE "audit" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "admin_id" VARCHAR(32) NOT NULL,
    "username" VARCHAR(64) NOT NULL,
    "ip" VARCHAR(64) NOT NULL,
    "action" VARCHAR(32) NOT NULL,
    "target" VARCHAR(64) NOT NULL,
    "data" JSONB NOT NULL,

    CONSTRAINT "audit_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "refund_command_key_key" ON "refund"("command_key");

-- CreateIndex
CREATE UNIQUE INDEX "refund_refund_id_key" ON "refund"("refund_id");

-- CreateIndex
CREATE INDEX "refund_out_trade_no_idx" ON "refund"("out_trade_no");

-- CreateIndex
CREATE INDEX "refund_order_no_idx" ON "refund"("order_no");

-- CreateIndex
CREATE INDEX "refund_created_at_out_refund_no_idx" ON "refund"("created_at" DESC, "out_refund_no" DESC);

-- CreateIndex
CREATE INDEX "audit_at_id_idx" ON "audit"("at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "audit_target_idx" ON "audit"("target");

-- AddForeignKey
ALTER TABLE "refund" ADD CONSTRAINT "refund_out_trade_no_fkey" FOREIGN KEY ("out_trade_no") REFERENCES "trade"("out_trade_no") ON DELETE RESTRICT ON UPDATE CASCADE;


ALTER TABLE "refund" ALTER COLUMN "out_refund_no" TYPE VARCHAR(64) COLLATE "C";
ALTER TABLE "refund" ALTER COLUMN "refund_id" TYPE VARCHAR(64) COLLATE "C";
ALTER TABLE "refund" ADD CONSTRAINT "refund_positive" CHECK ("refund_fen" > 0 AND "refund_fen" <= "total_fen");
ALTER TABLE "refund" ADD CONSTRAINT "refund_state_known" CHECK (
  "state" IN ('REQUESTED', 'PROCESSING', 'SUCCESS', 'CLOSED', 'ABNORMAL', 'REFUSED'));
ALTER TABLE "refund" ADD CONSTRAINT "refund_origin_known" CHECK ("origin" IN ('operator', 'surplus', 'console'));

-- Refunds on their way are few: the sweeper and the "needs attention" page find them here.
CREATE INDEX "refund_open" ON "refund" ("created_at") WHERE "state" IN ('REQUESTED', 'PROCESSING', 'ABNORMAL');

-- The last guard, below all code: what went back or is on its way back never exceeds what was paid.
CREATE FUNCTION refund_within_paid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT sum(r.refund_fen) FROM "refund" r WHERE r.out_trade_no = NEW.out_trade_no
        AND r.state IN ('REQUESTED', 'PROCESSING', 'SUCCESS', 'ABNORMAL'))
     > (SELECT t.total_fen FROM "trade" t WHERE t.out_trade_no = NEW.out_trade_no) THEN
    RAISE EXCEPTION 'refunds of trade % exceed what was paid', NEW.out_trade_no USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER "refund_within_paid" AFTER INSERT OR UPDATE OF "state", "refund_fen" ON "refund"
  FOR EACH ROW EXECUTE FUNCTION refund_within_paid();
