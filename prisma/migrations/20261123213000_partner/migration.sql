-- Partner mode: which sub-merchant sells a product, and of whom an order is.
ALTER TABLE "product" ADD COLUMN "sub_mch_id" VARCHAR(32);
ALTER TABLE "order" ADD COLUMN "sub_mch_id" VARCHAR(32);

CREATE TABLE "statement_seller" (
    "mch_id" VARCHAR(32) NOT NULL,
    "bill_date" DATE NOT NULL,
    "sub_mch_id" VARCHAR(32) NOT NULL,
    "payments" INTEGER NOT NULL,
    "payment_fen" BIGINT NOT NULL,
    "refunds" INTEGER NOT NULL,
    "refund_fen" BIGINT NOT NULL,
    "fee_e5" BIGINT NOT NULL,

    CONSTRAINT "statement_seller_pkey" PRIMARY KEY ("mch_id","bill_date","sub_mch_id")
);
