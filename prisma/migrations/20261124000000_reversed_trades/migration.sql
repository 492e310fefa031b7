-- Charges of the counter that were taken back are few: a day's comparison finds them here.
CREATE INDEX "trade_reversed" ON "trade" ("created_at") WHERE "reverse_answer" = 'done';
