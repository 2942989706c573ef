-- Leases: a gateway moves a slice of what a tenant may still spend into a lease, admits requests from it by itself, and settles
-- them in batches. What remains of a lease is held on `receivable` like any hold.

CREATE TABLE billing.leases (
  tenant_id      uuid NOT NULL REFERENCES billing.billing_accounts (tenant_id),
  id             uuid NOT NULL,
  gateway_id     uuid NOT NULL,
  epoch          bigint NOT NULL CHECK (epoch >= 1),
  remaining      numeric(38,0) NOT NULL DEFAULT 0 CHECK (remaining >= 0),  -- moved by the trigger on transfers alone
  expire_time    timestamptz NOT NULL,                                    -- by the clock of this database
  end_time       timestamptz,                                             -- NULL: open
  recalled       boolean NOT NULL DEFAULT false,                          -- the next answer of it says so
  payload_sha256 text NOT NULL,                                           -- of the request that made this epoch,
  added          numeric(38,0) NOT NULL CHECK (added >= 0),               -- and what it was answered
  create_time    timestamptz NOT NULL,                                    -- by its gateway's clock: it has no request of long before
  PRIMARY KEY (tenant_id, id),
  CHECK (end_time IS NULL OR remaining = 0)
) WITH (fillfactor = 50);
CREATE INDEX leases_open ON billing.leases (tenant_id, id) WHERE end_time IS NULL;
CREATE INDEX leases_due ON billing.leases (expire_time) WHERE end_time IS NULL;
CREATE INDEX leases_of_gateway ON billing.leases (gateway_id, tenant_id, id) WHERE end_time IS NULL;

ALTER TABLE billing.leases ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.leases FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.leases
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.leases FROM allod_billing;
GRANT INSERT (tenant_id, id, gateway_id, epoch, expire_time, payload_sha256, added, create_time) ON billing.leases TO allod_billing;
GRANT UPDATE (epoch, expire_time, end_time, recalled, payload_sha256, added) ON billing.leases TO allod_billing;
CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON billing.leases
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE FUNCTION billing.refuse_lease_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'lease %: it has ended, or goes back to an epoch of before', OLD.id USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER refuse_lease_change BEFORE UPDATE ON billing.leases
  FOR EACH ROW WHEN (OLD.end_time IS NOT NULL OR NEW.epoch < OLD.epoch)
  EXECUTE FUNCTION billing.refuse_lease_change();

-- Who has leases that are due, and which ones a gateway has, over all tenants by one index each. The app role learns that, and
-- nothing else of theirs.
CREATE POLICY owner_finds_leases ON billing.leases FOR SELECT TO CURRENT_USER USING (true);

CREATE FUNCTION billing.tenants_with_due_leases(p_after uuid, p_limit integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT DISTINCT l.tenant_id FROM billing.leases l
  WHERE l.end_time IS NULL AND l.expire_time <= statement_timestamp() AND l.tenant_id > p_after ORDER BY 1 LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION billing.tenants_with_due_leases(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.tenants_with_due_leases(uuid, integer) TO allod_billing;

CREATE FUNCTION billing.leases_besides(p_gateway uuid, p_current uuid[], p_after_tenant uuid, p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT l.tenant_id, l.id FROM billing.leases l
  WHERE l.gateway_id = p_gateway AND l.end_time IS NULL AND (l.tenant_id, l.id) > (p_after_tenant, p_after)
    AND NOT EXISTS (SELECT FROM unnest(p_current) AS c (id) WHERE c.id = l.id)
  ORDER BY l.tenant_id, l.id LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION billing.leases_besides(uuid, uuid[], uuid, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.leases_besides(uuid, uuid[], uuid, uuid, integer) TO allod_billing;

---------------------------------------------------------------------------------------------------------------------
-- The ledger.
--   lease             moves `amount` into a lease: held
--   lease_return      gives `amount` of it back
--   lease_post        turns `amount` of it into a debt; its id is the request id
--   lease_late_post   posts `amount` for a request of a lease that has ended, or of one that is not known; likewise
--   lease_short_post  posts `amount` for a request whose lease does not have it, which is our fault; likewise

ALTER TABLE billing.transfers
  ADD COLUMN lease_id uuid,
  DROP CONSTRAINT transfers_kind_check,
  ADD CONSTRAINT transfers_kind_check CHECK (kind IN ('pending', 'post', 'void', 'expire', 'late_post', 'lease',
    'lease_return', 'lease_post', 'lease_late_post', 'lease_short_post')),
  ADD CONSTRAINT transfers_of_leases CHECK (CASE
    WHEN kind IN ('lease', 'lease_return', 'lease_post', 'lease_short_post') THEN lease_id IS NOT NULL
    WHEN kind = 'lease_late_post' THEN true
    ELSE lease_id IS NULL END),
  ADD CONSTRAINT accounts_of_leases CHECK (
    kind NOT LIKE 'lease%' OR (debit = 'receivable' AND credit = 'usage-revenue' AND amount > 0)),
  -- What a transfer refers to is asked for by apply_transfers, once for all transfers of a statement. None of it is ever deleted.
  DROP CONSTRAINT transfers_tenant_id_debit_currency_code_fkey,
  DROP CONSTRAINT transfers_tenant_id_credit_currency_code_fkey,
  DROP CONSTRAINT transfers_tenant_id_pending_id_fkey,
  DROP CONSTRAINT transfers_tenant_id_expired_id_fkey;
CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE OR UPDATE OF tenant_id, code, currency_code ON billing.ledger_accounts
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

-- Whether a transfer of that kind moves its amount from one balance to the other; the others only hold or release.
CREATE FUNCTION billing.posts(kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$ SELECT kind NOT IN ('pending', 'void', 'expire', 'lease', 'lease_return') $$;

-- Checks transfers against what they follow, then moves the balances and what remains of leases: as many updates as there are
-- accounts and leases, however many transfers one statement makes. Runs as the owner, because the app role may not touch
-- balances; it works on the tenants of the new rows only, which row-level security has checked.
DROP TRIGGER apply_transfer ON billing.transfers;
DROP FUNCTION billing.apply_transfer();
CREATE FUNCTION billing.apply_transfers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  fault text;
  fault_code text;
BEGIN
  SELECT format('a transfer has the account %s in %s, which is not there', s.code, s.currency_code) INTO fault
  FROM (SELECT t.tenant_id, t.debit AS code, t.currency_code FROM added t
        UNION SELECT t.tenant_id, t.credit, t.currency_code FROM added t) AS s
  WHERE NOT EXISTS (SELECT FROM billing.ledger_accounts a
    WHERE a.tenant_id = s.tenant_id AND a.code = s.code AND a.currency_code = s.currency_code) LIMIT 1;
  IF FOUND THEN RAISE EXCEPTION '%', fault USING ERRCODE = 'foreign_key_violation'; END IF;

  -- OFFSET 0: one look into the index for each, whatever the planner thinks of the table's size.
  SELECT f.fault, f.code INTO fault, fault_code FROM (
    SELECT CASE
      WHEN h.kind IS DISTINCT FROM 'pending' THEN format('transfer %s follows %s which is no hold', t.id, h.id)
      WHEN (h.debit, h.credit, h.currency_code) IS DISTINCT FROM (t.debit, t.credit, t.currency_code)
        THEN format('transfer %s has other accounts than its hold', t.id)
      WHEN t.amount > h.amount OR (t.kind IN ('void', 'expire') AND t.amount <> h.amount)
        THEN format('transfer %s: %s does not fit its hold of %s', t.id, t.amount, h.amount)
      WHEN t.kind = 'late_post' AND NOT EXISTS (
          SELECT FROM billing.transfers x WHERE x.tenant_id = t.tenant_id AND x.pending_id = h.id AND x.kind = 'expire')
        THEN format('transfer %s: the hold %s has not expired', t.id, h.id)
      END AS fault,
      CASE WHEN h.id IS NULL THEN 'foreign_key_violation' ELSE 'check_violation' END AS code
    FROM added t LEFT JOIN LATERAL (
      SELECT * FROM billing.transfers p
      WHERE p.tenant_id = t.tenant_id AND p.id = COALESCE(t.pending_id, t.expired_id) OFFSET 0) AS h ON true
    WHERE t.kind IN ('post', 'void', 'expire', 'late_post')) AS f
  WHERE f.fault IS NOT NULL LIMIT 1;
  IF FOUND THEN RAISE EXCEPTION '%', fault USING ERRCODE = fault_code; END IF;

  SELECT format('transfer %s (%s): its lease %s is %s', t.id, t.kind, t.lease_id,
                CASE WHEN l.id IS NULL THEN 'not there' WHEN l.end_time IS NULL THEN 'open' ELSE 'ended' END),
    CASE WHEN l.id IS NULL THEN 'foreign_key_violation' ELSE 'check_violation' END INTO fault, fault_code
  FROM added t LEFT JOIN billing.leases l ON l.tenant_id = t.tenant_id AND l.id = t.lease_id
  WHERE t.lease_id IS NOT NULL AND (l.id IS NULL OR (t.kind = 'lease_late_post') <> (l.end_time IS NOT NULL)) LIMIT 1;
  IF FOUND THEN RAISE EXCEPTION '%', fault USING ERRCODE = fault_code; END IF;

  UPDATE billing.ledger_accounts a SET posted = a.posted + m.posted, held = a.held + m.held
  FROM (
    SELECT s.tenant_id, s.code, sum(s.posted) AS posted, sum(s.held) AS held FROM (
      SELECT t.tenant_id, t.debit AS code,
        CASE WHEN billing.posts(t.kind) THEN -t.amount ELSE 0 END AS posted,
        CASE
          WHEN t.kind IN ('pending', 'lease') THEN t.amount
          WHEN t.kind IN ('lease_return', 'lease_post') THEN -t.amount
          WHEN t.kind IN ('post', 'void', 'expire') THEN
            -(SELECT h.amount FROM billing.transfers h WHERE h.tenant_id = t.tenant_id AND h.id = t.pending_id)
          ELSE 0 END AS held
      FROM added t
      UNION ALL
      SELECT t.tenant_id, t.credit, t.amount, 0 FROM added t WHERE billing.posts(t.kind)) AS s
    GROUP BY s.tenant_id, s.code) AS m
  WHERE a.tenant_id = m.tenant_id AND a.code = m.code AND (m.posted <> 0 OR m.held <> 0);

  IF NOT EXISTS (SELECT FROM added t WHERE t.lease_id IS NOT NULL) THEN RETURN NULL; END IF;
  UPDATE billing.leases l SET remaining = l.remaining + m.amount
  FROM (
    SELECT t.tenant_id, t.lease_id, sum(CASE WHEN t.kind = 'lease' THEN t.amount ELSE -t.amount END) AS amount
    FROM added t WHERE t.kind IN ('lease', 'lease_return', 'lease_post') GROUP BY t.tenant_id, t.lease_id) AS m
  WHERE l.tenant_id = m.tenant_id AND l.id = m.lease_id;
  SELECT format('transfer %s: its lease %s has %s', t.id, l.id, l.remaining) INTO fault
  FROM added t JOIN billing.leases l ON l.tenant_id = t.tenant_id AND l.id = t.lease_id
  WHERE t.kind = 'lease_short_post' AND t.amount <= l.remaining LIMIT 1;
  IF FOUND THEN RAISE EXCEPTION '%', fault USING ERRCODE = 'check_violation'; END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER apply_transfers AFTER INSERT ON billing.transfers
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.apply_transfers();

---------------------------------------------------------------------------------------------------------------------
-- Usage. A request that was admitted from a lease has no reservation: then `revision` is NULL, and the foreign key to
-- reservations does not count. Records of requests that were reserved keep theirs.

ALTER TABLE billing.usage_records
  ALTER COLUMN revision DROP NOT NULL,
  ADD COLUMN lease_id uuid,  -- may be one that is not known here
  ADD CONSTRAINT reserved_or_leased CHECK ((revision IS NULL) = (lease_id IS NOT NULL));

-- Runs as the owner, like apply_transfers: as many changes as there are lines, however many records one statement makes.
DROP TRIGGER add_to_totals ON billing.usage_records;
DROP FUNCTION billing.add_to_totals();
CREATE FUNCTION billing.add_to_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO billing.usage_totals AS t
    SELECT n.tenant_id, date_trunc('month', n.admit_time AT TIME ZONE 'UTC')::date, n.instance, n.variant, n.price_book_id,
      n.isolation_class, n.prompt_price, n.completion_price, count(*), sum(n.prompt_tokens - n.excess_prompt_tokens)::bigint,
      sum(n.completion_tokens - n.excess_completion_tokens)::bigint, sum(n.cost)
    FROM added n WHERE n.billed
    GROUP BY n.tenant_id, 2, n.instance, n.variant, n.price_book_id, n.isolation_class, n.prompt_price, n.completion_price
    ON CONFLICT (tenant_id, month, instance, variant, price_book_id, isolation_class) DO UPDATE SET
      request_count = t.request_count + EXCLUDED.request_count, prompt_tokens = t.prompt_tokens + EXCLUDED.prompt_tokens,
      completion_tokens = t.completion_tokens + EXCLUDED.completion_tokens, amount = t.amount + EXCLUDED.amount;
  RETURN NULL;
END $$;
CREATE TRIGGER add_to_totals AFTER INSERT ON billing.usage_records
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.add_to_totals();

---------------------------------------------------------------------------------------------------------------------
-- Locked reads, as before: first the lock on the tenant's account, then a snapshot taken after it.

-- Besides, whether the id was used up by a request of a lease.
DROP FUNCTION billing.lock_for_reserve(uuid, uuid, uuid, text, text);
CREATE FUNCTION billing.lock_for_reserve(p_tenant uuid, p_request uuid, p_price_book uuid, p_variant text, p_class text)
RETURNS TABLE (account billing.billing_accounts, receivable billing.ledger_accounts, price_book billing.price_books,
               price billing.token_prices, reservation billing.reservations, terminal_kind text, was_leased boolean)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM billing.billing_accounts a WHERE a.tenant_id = p_tenant FOR NO KEY UPDATE;
  RETURN QUERY
    SELECT a, l, b, p.price, r.newest, x.kind,
      EXISTS (SELECT FROM billing.usage_records u
              WHERE u.tenant_id = p_tenant AND u.request_id = p_request AND u.lease_id IS NOT NULL)
    FROM (SELECT p_tenant AS tenant_id) AS t
    LEFT JOIN billing.billing_accounts a ON a.tenant_id = t.tenant_id
    LEFT JOIN billing.ledger_accounts l ON l.tenant_id = t.tenant_id AND l.code = 'receivable'
    LEFT JOIN billing.price_books b ON b.id = p_price_book
    LEFT JOIN LATERAL (
      SELECT y AS price FROM billing.token_prices y
      WHERE y.price_book_id = p_price_book AND y.currency_code = a.currency_code AND y.variant_id IN (p_variant, '')
        AND y.isolation_class IN (p_class, '')
      ORDER BY y.variant_id = '', y.isolation_class = '' LIMIT 1) AS p ON true
    LEFT JOIN LATERAL (
      SELECT v AS newest, v.hold_id FROM billing.reservations v
      WHERE v.tenant_id = t.tenant_id AND v.request_id = p_request ORDER BY v.revision DESC LIMIT 1) AS r ON true
    LEFT JOIN billing.transfers x ON x.tenant_id = t.tenant_id AND x.pending_id = r.hold_id;
END $$;

CREATE FUNCTION billing.lock_for_adjust(p_tenant uuid, p_lease uuid)
RETURNS TABLE (account billing.billing_accounts, receivable billing.ledger_accounts, lease billing.leases,
               read_time timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM billing.billing_accounts a WHERE a.tenant_id = p_tenant FOR NO KEY UPDATE;
  RETURN QUERY
    SELECT a, l, e, clock_timestamp()
    FROM (SELECT p_tenant AS tenant_id) AS t
    LEFT JOIN billing.billing_accounts a ON a.tenant_id = t.tenant_id
    LEFT JOIN billing.ledger_accounts l ON l.tenant_id = t.tenant_id AND l.code = 'receivable'
    LEFT JOIN billing.leases e ON e.tenant_id = t.tenant_id AND e.id = p_lease;
END $$;
