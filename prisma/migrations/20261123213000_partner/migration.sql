-- Partner mode: which sub-merchant sells a product, and of whom an order is.
ALTER TABLE "product" ADD COLUMN "sub_mch_id" VARCHAR(32);
ALTER TABLE "order" ADD COLUMN "sub_mch_id" VARCHAR(32);
