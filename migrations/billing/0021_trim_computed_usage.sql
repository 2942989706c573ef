-- Computed usage bills nothing: it is there to be held against usage records. The events of a request that has a record which bills no
-- more than nodes sampled for it have done that, and go when they are old. Those that tell of something wrong stay.

-- Up to where a tenant's events may be gone.
CREATE TABLE billing.computed_usage_trims (
  tenant_id uuid PRIMARY KEY REFERENCES billing.billing_accounts (tenant_id),
  horizon   timestamptz NOT NULL  -- of admission; never goes back
);
ALTER TABLE billing.computed_usage_trims ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.computed_usage_trims
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.computed_usage_trims FROM allod_billing;

-- It may be trimmed by the function below; the app role may delete none of it.
DROP TRIGGER refuse_change ON billing.computed_usage;
CREATE TRIGGER refuse_change BEFORE UPDATE OR TRUNCATE ON billing.computed_usage
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

-- The events of at most `p_limit` requests, of which none is of `p_before_micros` or later; answers with how many requests that were.
-- Nothing younger than a week, whatever it is asked.
CREATE FUNCTION billing.trim_computed_usage(p_tenant uuid, p_before_micros bigint, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  bound timestamptz := least(billing.from_micros(p_before_micros), now() - interval '7 days');
  done  integer;
BEGIN
  PERFORM billing.require_tenant(p_tenant);
  IF NOT EXISTS (SELECT FROM billing.computed_usage e WHERE e.tenant_id = p_tenant AND e.start_time < bound) THEN RETURN 0; END IF;
  WITH compared AS (
    SELECT DISTINCT o.request_id FROM (
      SELECT e.request_id FROM billing.computed_usage e
      WHERE e.tenant_id = p_tenant AND e.start_time < bound AND EXISTS (
        SELECT FROM billing.usage_records u
        WHERE u.tenant_id = p_tenant AND u.request_id = e.request_id AND u.completion_tokens <= (
          SELECT sum(c.sampled_tokens) FROM billing.computed_usage c WHERE c.tenant_id = p_tenant AND c.request_id = e.request_id))
        AND NOT EXISTS (SELECT FROM billing.computed_usage c
          WHERE c.tenant_id = p_tenant AND c.request_id = e.request_id AND c.start_time >= bound)
      ORDER BY e.start_time, e.event_id LIMIT p_limit) AS o),
  gone AS (
    DELETE FROM billing.computed_usage e USING compared c WHERE e.tenant_id = p_tenant AND e.request_id = c.request_id RETURNING 1)
  SELECT count(*) INTO done FROM compared;
  IF done > 0 THEN
    INSERT INTO billing.computed_usage_trims AS t VALUES (p_tenant, bound)
      ON CONFLICT (tenant_id) DO UPDATE SET horizon = greatest(t.horizon, EXCLUDED.horizon);
  END IF;
  RETURN done;
END $$;
REVOKE ALL ON FUNCTION billing.trim_computed_usage(uuid, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.trim_computed_usage(uuid, bigint, integer) TO allod_billing;

-- Records of requests of before it are not asked for their events.
CREATE FUNCTION billing.computed_usage_since(p_tenant uuid) RETURNS uuid
LANGUAGE sql STABLE AS $$
  SELECT coalesce((SELECT billing.first_request_id(t.horizon) FROM billing.computed_usage_trims t WHERE t.tenant_id = p_tenant),
                  '00000000-0000-0000-0000-000000000000')
$$;
