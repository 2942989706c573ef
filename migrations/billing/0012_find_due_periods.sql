-- Whose ended months are to be invoiced, in one look at one index for all tenants: rows of usage_totals that are open, of accounts
-- that are invoiced by themselves. What was settled after its month was invoiced waits for the next invoice and makes none due. The
-- app role learns tenants and months, and nothing else of theirs.

CREATE POLICY owner_finds_due_periods ON billing.usage_totals FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_finds_due_periods ON billing.billing_profiles FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_finds_due_periods ON billing.invoices FOR SELECT TO CURRENT_USER USING (true);
CREATE INDEX invoices_by_month ON billing.invoices (tenant_id, month) WHERE kind = 'invoice';

-- The earliest of each; ordered by tenant.
CREATE FUNCTION billing.tenants_with_due_periods(p_before_micros bigint, p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, month_micros bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT t.tenant_id, billing.to_micros(min(t.month)::timestamp AT TIME ZONE 'UTC') FROM billing.usage_totals t
  JOIN billing.billing_profiles p ON p.tenant_id = t.tenant_id AND NOT p.finalise_by_hand
  WHERE t.open AND t.month < date_trunc('month', billing.from_micros(p_before_micros) AT TIME ZONE 'UTC')::date
    AND t.tenant_id > p_after
    AND NOT EXISTS (SELECT FROM billing.invoices i
                    WHERE i.tenant_id = t.tenant_id AND i.kind = 'invoice' AND i.month >= t.month)
  GROUP BY t.tenant_id ORDER BY t.tenant_id LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION billing.tenants_with_due_periods(bigint, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.tenants_with_due_periods(bigint, uuid, integer) TO allod_billing;
