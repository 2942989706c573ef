-- Price terms: what was agreed with a tenant beside price books, in versions that never change.

CREATE TABLE billing.price_terms (
  tenant_id         uuid NOT NULL REFERENCES billing.billing_accounts (tenant_id),
  version           integer NOT NULL CHECK (version > 0),
  start_month       date NOT NULL CHECK (extract(day FROM start_month) = 1),
  content           jsonb NOT NULL,   -- clauses, as services/billing/terms/terms_rows.cc writes them
  commitment_months integer NOT NULL CHECK (commitment_months BETWEEN 0 AND 60),  -- from start_month; of no commitment 0
  note              text NOT NULL,
  request_id        uuid,
  payload_sha256    text NOT NULL,
  create_time       timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, version),
  UNIQUE (tenant_id, request_id)
);
ALTER TABLE billing.price_terms ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.price_terms FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.price_terms
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE UPDATE, DELETE, TRUNCATE ON billing.price_terms FROM allod_billing;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.price_terms
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

-- Versions follow each other, and none begins with a month that is invoiced: a month's terms stay what they were.
CREATE FUNCTION billing.check_terms_follow() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.version <> 1 + (SELECT count(*) FROM billing.price_terms t WHERE t.tenant_id = NEW.tenant_id)
     OR EXISTS (SELECT FROM billing.price_terms t WHERE t.tenant_id = NEW.tenant_id AND t.start_month > NEW.start_month)
     OR EXISTS (SELECT FROM billing.invoices i
                WHERE i.tenant_id = NEW.tenant_id AND i.kind = 'invoice' AND i.month >= NEW.start_month) THEN
    RAISE EXCEPTION 'version % of the terms does not follow', NEW.version USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER check_terms_follow BEFORE INSERT ON billing.price_terms
  FOR EACH ROW EXECUTE FUNCTION billing.check_terms_follow();

---------------------------------------------------------------------------------------------------------------------
-- A month that is committed to is due without any use.

CREATE POLICY owner_finds_due_periods ON billing.price_terms FOR SELECT TO CURRENT_USER USING (true);

-- The first month from p_from on, and before p_before, of which the version that it has commits to something.
CREATE FUNCTION billing.first_committed_month(p_tenant uuid, p_from date, p_before date) RETURNS date
LANGUAGE sql STABLE AS $$
  SELECT min(greatest(v.start_month, p_from)) FROM (
    SELECT t.start_month, (t.start_month + t.commitment_months * interval '1 month')::date AS until,
      lead(t.start_month, 1, 'infinity') OVER (ORDER BY t.version) AS next
    FROM billing.price_terms t WHERE t.tenant_id = p_tenant) AS v
  WHERE greatest(v.start_month, p_from) < least(v.until, v.next, p_before)
$$;
REVOKE ALL ON FUNCTION billing.first_committed_month(uuid, date, date) FROM PUBLIC;

CREATE OR REPLACE FUNCTION billing.tenants_with_due_periods(p_before_micros bigint, p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, month_micros bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT p.tenant_id, billing.to_micros(due.month::timestamp AT TIME ZONE 'UTC')
  FROM billing.billing_profiles p
  CROSS JOIN LATERAL (
    SELECT date_trunc('month', billing.from_micros(p_before_micros) AT TIME ZONE 'UTC')::date AS month) AS before
  LEFT JOIN LATERAL (
    SELECT i.month, (i.month + interval '1 month')::date AS next FROM billing.invoices i
    WHERE i.tenant_id = p.tenant_id AND i.kind = 'invoice' ORDER BY i.month DESC LIMIT 1) AS last ON true
  CROSS JOIN LATERAL (
    SELECT least(billing.first_open_month(p.tenant_id, coalesce(last.next, '-infinity'), before.month),
      billing.first_committed_month(p.tenant_id, coalesce(last.next, '-infinity'), before.month)) AS month) AS own
  CROSS JOIN LATERAL (
    SELECT CASE WHEN own.month IS NULL AND last.next < before.month
        AND billing.first_open_month(p.tenant_id, '-infinity', last.next) IS NOT NULL
      THEN last.next END AS month) AS late
  CROSS JOIN LATERAL (SELECT coalesce(own.month, late.month) AS month) AS due
  WHERE NOT p.finalise_by_hand AND p.tenant_id > p_after AND due.month IS NOT NULL
  ORDER BY p.tenant_id LIMIT p_limit
$$;
