-- When what a tenant has paid beforehand, less what it owes, falls below what it said, it is told: an event, once until it has been
-- above again. Looked for by a loop, so that settlements pay nothing for it.

CREATE TABLE billing.wallet_alerts (
  tenant_id   uuid PRIMARY KEY REFERENCES billing.billing_accounts (tenant_id),
  low_balance numeric(38,0) NOT NULL CHECK (low_balance >= 0),
  is_low      boolean NOT NULL DEFAULT false  -- and was told of; moved by tell_of_balance alone
);
ALTER TABLE billing.wallet_alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.wallet_alerts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.wallet_alerts
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE INSERT, UPDATE, TRUNCATE ON billing.wallet_alerts FROM allod_billing;
GRANT INSERT (tenant_id, low_balance) ON billing.wallet_alerts TO allod_billing;
GRANT UPDATE (low_balance) ON billing.wallet_alerts TO allod_billing;

-- Who is to be told of, over all tenants that want to be: two looks at an index for each. The app role learns that, and nothing else
-- of theirs.
CREATE POLICY owner_finds_low_balances ON billing.wallet_alerts FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_finds_low_balances ON billing.ledger_accounts FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION billing.tenants_with_crossed_balances(p_after uuid, p_limit integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.tenant_id FROM billing.wallet_alerts s
  JOIN billing.ledger_accounts w ON w.tenant_id = s.tenant_id AND w.code = 'wallet'
  JOIN billing.ledger_accounts r ON r.tenant_id = s.tenant_id AND r.code = 'receivable'
  WHERE s.tenant_id > p_after AND s.is_low <> (w.posted + r.posted < s.low_balance) ORDER BY s.tenant_id LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION billing.tenants_with_crossed_balances(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.tenants_with_crossed_balances(uuid, integer) TO allod_billing;

-- Under the tenant's lock, which add_event takes as well. Says whether it told.
CREATE FUNCTION billing.tell_of_balance(p_tenant uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE told record;
BEGIN
  PERFORM billing.require_tenant(p_tenant);
  PERFORM FROM billing.billing_accounts a WHERE a.tenant_id = p_tenant FOR NO KEY UPDATE;
  UPDATE billing.wallet_alerts s SET is_low = NOT s.is_low
    FROM billing.billing_accounts a, billing.ledger_accounts w, billing.ledger_accounts r
    WHERE s.tenant_id = p_tenant AND a.tenant_id = p_tenant AND w.tenant_id = p_tenant AND w.code = 'wallet'
      AND r.tenant_id = p_tenant AND r.code = 'receivable' AND s.is_low <> (w.posted + r.posted < s.low_balance)
    RETURNING s.is_low, s.low_balance, w.posted + r.posted AS balance, a.tenant_name, a.currency_code INTO told;
  IF NOT FOUND OR NOT told.is_low THEN RETURN false; END IF;
  PERFORM billing.add_event(p_tenant, 'wallet.low', jsonb_build_object(
    'name', told.tenant_name || '/wallet', 'balance', billing.to_decimal(told.balance),
    'lowBalance', billing.to_decimal(told.low_balance), 'currencyCode', told.currency_code));
  RETURN true;
END $$;
REVOKE ALL ON FUNCTION billing.tell_of_balance(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.tell_of_balance(uuid) TO allod_billing;
