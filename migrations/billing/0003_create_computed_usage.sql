-- What nodes computed: one row per attempt at a request on a worker. It bills nothing; usage records are held against it.

CREATE TABLE billing.computed_usage (
  tenant_id              uuid NOT NULL REFERENCES billing.billing_accounts (tenant_id),
  event_id               text COLLATE "C" NOT NULL CHECK (length(event_id) BETWEEN 1 AND 128),  -- made by the node; told twice it counts once
  request_id             uuid NOT NULL,
  instance               text NOT NULL,
  node                   text NOT NULL,
  replica_id             uuid NOT NULL,
  prompt_tokens_computed bigint NOT NULL CHECK (prompt_tokens_computed >= 0),
  prompt_tokens_cached   bigint NOT NULL CHECK (prompt_tokens_cached >= 0),
  sampled_tokens         bigint NOT NULL CHECK (sampled_tokens >= 0),
  outcome                text NOT NULL CHECK (outcome IN ('completed', 'cancelled', 'failed', 'lost')),
  start_time             timestamptz NOT NULL,
  end_time               timestamptz NOT NULL,
  create_time            timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, event_id),
  CHECK (start_time <= end_time)
);
CREATE INDEX computed_usage_by_request ON billing.computed_usage (tenant_id, request_id);
CREATE INDEX computed_usage_by_time ON billing.computed_usage (tenant_id, start_time, event_id);

ALTER TABLE billing.computed_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.computed_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.computed_usage
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE UPDATE, DELETE, TRUNCATE ON billing.computed_usage FROM allod_billing;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.computed_usage
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();
