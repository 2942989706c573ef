-- Prices by isolation class, and what a token of context takes in memory.

ALTER TABLE catalog.listing_prices
  -- Empty: every class without a row of its own.
  ADD COLUMN isolation_class text COLLATE "C" NOT NULL DEFAULT ''
    CHECK (isolation_class IN ('', 'pooled', 'isolated', 'dedicated')),
  DROP CONSTRAINT listing_prices_pkey,
  ADD PRIMARY KEY (listing_id, currency_code, variant_id, isolation_class);

-- 0: not known, as for every version of before.
ALTER TABLE catalog.versions ADD COLUMN kv_bytes_per_token bigint NOT NULL DEFAULT 0 CHECK (kv_bytes_per_token >= 0);
