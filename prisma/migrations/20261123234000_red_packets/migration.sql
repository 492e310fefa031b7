-- Cash red packets: the row and its number come before the call; one wish is one packet.
CREATE TABLE "red_packet" (
    "mch_billno" VARCHAR(28) NOT NULL,
    "command_key" VARCHAR(64) NOT NULL,
    "mch_id" VARCHAR(32) NOT NULL,
    "appid" VARCHAR(32) NOT NULL,
    "openid" VARCHAR(128) NOT NULL,
    "order_no" VARCHAR(32),
    "total_fen" INTEGER NOT NULL,
    "total_num" INTEGER NOT NULL,
    "act_name" VARCHAR(32) NOT NULL,
    "wishing" VARCHAR(128) NOT NULL,
    "remark" VARCHAR(256) NOT NULL,
    "client_ip" VARCHAR(64) NOT NULL,
    "state" VARCHAR(16) NOT NULL,
    "admin_id" VARCHAR(32) NOT NULL,
    "send_listid" VARCHAR(64),
    "detail_id" VARCHAR(64),
    "refused_code" VARCHAR(64),
    "reason" VARCHAR(128),
    "taken_fen" INTEGER NOT NULL DEFAULT 0,
    "taken_num" INTEGER NOT NULL DEFAULT 0,
    "refund_fen" INTEGER NOT NULL DEFAULT 0,
    "send_calls" INTEGER NOT NULL DEFAULT 0,
    "last_answer" JSONB,
    "sending_until" TIMESTAMPTZ(3),
    "asked_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "red_packet_pkey" PRIMARY KEY ("mch_billno")
);
CREATE UNIQUE INDEX "red_packet_admin_id_command_key_key" ON "red_packet"("admin_id", "command_key");
CREATE INDEX "red_packet_created_at_mch_billno_idx" ON "red_packet"("created_at" DESC, "mch_billno" DESC);
CREATE INDEX "red_packet_openid_created_at_idx" ON "red_packet"("openid", "created_at");
ALTER TABLE "red_packet" ADD CONSTRAINT "red_packet_state_known" CHECK (
  "state" IN ('REQUESTED', 'SENDING', 'SENT', 'RECEIVED', 'RFUND_ING', 'REFUND', 'FAILED', 'REFUSED'));
ALTER TABLE "red_packet" ADD CONSTRAINT "red_packet_amounts" CHECK (
  "total_fen" > 0 AND "total_num" > 0 AND "taken_fen" BETWEEN 0 AND "total_fen" AND "refund_fen" BETWEEN 0 AND "total_fen");
