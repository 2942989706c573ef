-- What a replica that answers costs, beside its tokens: for a second, in 10^-12 of the currency's major unit. Listings of before: nothing.
ALTER TABLE catalog.listing_prices
  ADD COLUMN instance_second_price_pico numeric(38, 0) NOT NULL DEFAULT 0 CHECK (instance_second_price_pico >= 0);
