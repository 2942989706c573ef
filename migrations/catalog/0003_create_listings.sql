-- A listing is PENDING until billing holds its price book, and only then visible. Immutable once active.
CREATE TABLE catalog.listings (
  id text COLLATE "C" PRIMARY KEY,
  model_id text COLLATE "C" NOT NULL,
  version_id text COLLATE "C" NOT NULL,
  display_name text NOT NULL,
  license_terms text NOT NULL CHECK (license_terms <> ''),
  territory text[] NOT NULL,
  price_book_id uuid NOT NULL UNIQUE,
  state text NOT NULL CHECK (state IN ('PENDING', 'ACTIVE', 'WITHDRAWN')),
  create_time timestamptz NOT NULL,
  FOREIGN KEY (model_id, version_id) REFERENCES catalog.versions (model_id, id)
);
REVOKE DELETE ON catalog.listings FROM allod_catalog;

-- Per token, in 10^-12 of the currency's major unit.
CREATE TABLE catalog.listing_prices (
  listing_id text COLLATE "C" NOT NULL REFERENCES catalog.listings (id),
  currency_code text COLLATE "C" NOT NULL CHECK (currency_code ~ '^[A-Z]{3}$'),
  -- Empty: every variant without a row of its own.
  variant_id text COLLATE "C" NOT NULL,
  prompt_price_pico numeric(38, 0) NOT NULL CHECK (prompt_price_pico >= 0),
  completion_price_pico numeric(38, 0) NOT NULL CHECK (completion_price_pico >= 0),
  PRIMARY KEY (listing_id, currency_code, variant_id)
);
REVOKE UPDATE ON catalog.listing_prices FROM allod_catalog;
