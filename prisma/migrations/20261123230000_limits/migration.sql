-- AlterTable
ALTER TABLE "trade" ADD COLUMN     "place_after" TIMESTAMPTZ(3),
ADD COLUMN     "place_failed" VARCHAR(8),
ADD COLUMN     "place_failures" INTEGER NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "notification" ADD COLUMN     "body_bytes" INTEGER,
ADD COLUMN     "body_sha256" VARCHAR(64);

-- CreateTable
CREATE TABLE "tally" (
    "name" VARCHAR(96) NOT NULL,
    "window_at" TIMESTAMPTZ(0) NOT NULL,
    "count" INTEGER NOT NULL,

    CONSTRAINT "tally_pkey" PRIMARY KEY ("name","window_at")
);

-- CreateIndex
CREATE INDEX "tally_window_at_idx" ON "tally"("window_at");

-- CreateIndex
CREATE INDEX "login_attempt_ip_at_idx" ON "login_attempt"("ip", "at");
