-- Who paid a trade, by WeChat's word: not always who began it.
ALTER TABLE "trade" ADD COLUMN "payer_openid" VARCHAR(128);
