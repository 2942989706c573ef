-- Whose ended months are to be invoiced: for each account that is invoiced by itself, in the order of their ids, three looks at an
-- index: its last invoice, the first open row of usage_totals after that month, and whether there is one of before. An account
-- without a profile, or one that is invoiced by hand, is not looked at. The app role learns tenants and months, and nothing else of
-- theirs.

CREATE POLICY owner_finds_due_periods ON billing.usage_totals FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_finds_due_periods ON billing.billing_profiles FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_finds_due_periods ON billing.invoices FOR SELECT TO CURRENT_USER USING (true);
CREATE INDEX invoices_by_month ON billing.invoices (tenant_id, month) WHERE kind = 'invoice';
CREATE INDEX profiles_by_themselves ON billing.billing_profiles (tenant_id) WHERE NOT finalise_by_hand;

-- The earliest of each; ordered by tenant. What was settled after its month had been invoiced, or had no room in it, goes into the
-- next month that has something of its own; if there is none, the month after the last invoice is due for it alone.
CREATE FUNCTION billing.tenants_with_due_periods(p_before_micros bigint, p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, month_micros bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT p.tenant_id, billing.to_micros(due.month::timestamp AT TIME ZONE 'UTC')
  FROM billing.billing_profiles p
  CROSS JOIN LATERAL (
    SELECT date_trunc('month', billing.from_micros(p_before_micros) AT TIME ZONE 'UTC')::date AS month) AS before
  LEFT JOIN LATERAL (
    SELECT i.month FROM billing.invoices i
    WHERE i.tenant_id = p.tenant_id AND i.kind = 'invoice' ORDER BY i.month DESC LIMIT 1) AS last ON true
  LEFT JOIN LATERAL (
    SELECT t.month FROM billing.usage_totals t
    WHERE t.tenant_id = p.tenant_id AND t.open AND t.month > coalesce(last.month, '-infinity') AND t.month < before.month
    ORDER BY t.month LIMIT 1) AS own ON true
  LEFT JOIN LATERAL (
    SELECT (last.month + interval '1 month')::date AS month FROM billing.usage_totals t
    WHERE own.month IS NULL AND t.tenant_id = p.tenant_id AND t.open AND t.month <= last.month
      AND last.month + interval '1 month' < before.month LIMIT 1) AS late ON true
  CROSS JOIN LATERAL (SELECT coalesce(own.month, late.month) AS month) AS due
  WHERE NOT p.finalise_by_hand AND p.tenant_id > p_after AND due.month IS NOT NULL
  ORDER BY p.tenant_id LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION billing.tenants_with_due_periods(bigint, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.tenants_with_due_periods(bigint, uuid, integer) TO allod_billing;
