-- Quotes: what an instance would cost, as it was said; never changed. An instance that names one is billed at its price book.
CREATE TABLE scheduling.quotes (
  tenant_id           uuid NOT NULL REFERENCES scheduling.tenants (id),
  id                  uuid NOT NULL,
  project             text COLLATE "C" NOT NULL,  -- `tenants/{tenant}/projects/{project}`
  listing             text NOT NULL,
  variant             text NOT NULL,
  region              text NOT NULL,
  isolation_class     text NOT NULL CHECK (isolation_class IN ('isolated', 'pooled', 'dedicated')),
  replicas            integer NOT NULL CHECK (replicas BETWEEN 1 AND 16),
  context_tokens      integer NOT NULL CHECK (context_tokens > 0),
  max_concurrency     integer NOT NULL CHECK (max_concurrency BETWEEN 1 AND 64),
  sleep_after_seconds integer NOT NULL CHECK (sleep_after_seconds BETWEEN 0 AND 604800),
  requests_per_day    bigint NOT NULL CHECK (requests_per_day >= 0),
  prompt_tokens       bigint NOT NULL CHECK (prompt_tokens >= 0),
  completion_tokens   bigint NOT NULL CHECK (completion_tokens >= 0),
  hours_per_day       integer NOT NULL CHECK (hours_per_day BETWEEN 1 AND 24),
  price_book          text NOT NULL,
  currency_code       text NOT NULL,
  -- Of one token, and of one second of a replica, in 10^-12; and of 30 days at that use.
  prompt_price        numeric(38,0) NOT NULL CHECK (prompt_price >= 0),
  completion_price    numeric(38,0) NOT NULL CHECK (completion_price >= 0),
  second_price        numeric(38,0) NOT NULL CHECK (second_price >= 0),
  token_cost          numeric(38,0) NOT NULL CHECK (token_cost = 30::numeric * requests_per_day
    * (prompt_tokens * prompt_price + completion_tokens * completion_price)),
  time_cost           numeric(38,0) NOT NULL CHECK (time_cost = 30::numeric * 3600 * hours_per_day * replicas * second_price),
  misfit              text NOT NULL,  -- empty: it would have been placed
  create_time         timestamptz NOT NULL,
  expire_time         timestamptz NOT NULL CHECK (expire_time > create_time),
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX quotes_of_project ON scheduling.quotes (tenant_id, project, create_time DESC, id DESC);
CREATE INDEX quotes_by_expiry ON scheduling.quotes (tenant_id, expire_time);
ALTER TABLE scheduling.quotes ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduling.quotes FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON scheduling.quotes
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE UPDATE, TRUNCATE ON scheduling.quotes FROM allod_scheduling;

-- The quote that the spec names; empty: none.
ALTER TABLE scheduling.revisions ADD COLUMN quote text NOT NULL DEFAULT '';
