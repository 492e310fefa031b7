-- CreateTable
CREATE TABLE "fund_flow_day" (
    "mch_id" VARCHAR(32) NOT NULL,
    "bill_date" DATE NOT NULL,
    "state" VARCHAR(16) NOT NULL,
    "rows" INTEGER NOT NULL,
    "income_fen" BIGINT NOT NULL,
    "expense_fen" BIGINT NOT NULL,
    "sums" JSONB NOT NULL,
    "sha256" VARCHAR(64),
    "problem" TEXT NOT NULL,
    "tried_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "fund_flow_day_pkey" PRIMARY KEY ("mch_id","bill_date")
);

-- What the day's sums disagree about is a difference like any other.
ALTER TABLE "difference" DROP CONSTRAINT "difference_kind_known";
ALTER TABLE "difference" ADD CONSTRAINT "difference_kind_known" CHECK ("kind" IN
    ('missing_here', 'missing_there', 'amount', 'state', 'refund', 'fee', 'foreign', 'repeated', 'flow'));
