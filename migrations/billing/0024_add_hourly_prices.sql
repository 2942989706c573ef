-- What a replica that answers costs for a second. Books of before: nothing.
ALTER TABLE billing.token_prices
  ADD COLUMN instance_second_price numeric(38,0) NOT NULL DEFAULT 0 CHECK (instance_second_price >= 0);
