-- Orders that an operator rings up have no shopper's session; they belong to the operator.
ALTER TABLE "order" ALTER COLUMN "session_id" DROP NOT NULL;
ALTER TABLE "order" ADD COLUMN "origin" VARCHAR(8) NOT NULL DEFAULT 'shop';
ALTER TABLE "order" ADD COLUMN "admin_id" VARCHAR(32);
ALTER TABLE "order" ADD CONSTRAINT "order_origin_known" CHECK (
  ("origin" = 'shop' AND "session_id" IS NOT NULL AND "admin_id" IS NULL)
  OR ("origin" = 'counter' AND "session_id" IS NULL AND "admin_id" IS NOT NULL));
CREATE UNIQUE INDEX "order_admin_id_checkout_key_key" ON "order"("admin_id", "checkout_key");
-- The counter's own page: what was rung up today.
CREATE INDEX "order_counter" ON "order"("created_at" DESC, "order_no" DESC) WHERE "origin" = 'counter';

-- A payment code or a face pays one trade: the digest of what was presented, never the thing itself.
ALTER TABLE "trade" ADD COLUMN "payer_key" VARCHAR(64);
CREATE UNIQUE INDEX "trade_payer_key_key" ON "trade"("payer_key");
ALTER TABLE "trade" ADD COLUMN "refused_code" VARCHAR(64);
-- From reversing_at on, that a trade was paid is believed only of a query begun after WeChat had refused the reversal.
ALTER TABLE "trade" ADD COLUMN "reversing_at" TIMESTAMPTZ(3);
ALTER TABLE "trade" ADD COLUMN "reversing_until" TIMESTAMPTZ(3);
ALTER TABLE "trade" ADD COLUMN "reverse_calls" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "trade" ADD COLUMN "reverse_answer" VARCHAR(8);
ALTER TABLE "trade" ADD CONSTRAINT "trade_reverse_answer_known" CHECK (
  "reverse_answer" IS NULL OR ("reverse_answer" IN ('done', 'refused') AND "reversing_at" IS NOT NULL));
