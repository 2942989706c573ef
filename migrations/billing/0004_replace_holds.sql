-- A request that waits can come to run on other terms than it was held for: its instance was updated to another context,
-- variant or class. Its hold is then replaced before work starts: the old one is voided and the new one made in one
-- transaction, so that a request has one open hold at any time. Each hold is a revision of the request's reservation.

ALTER TABLE billing.usage_records DROP CONSTRAINT usage_records_tenant_id_request_id_fkey;
ALTER TABLE billing.open_reservations DROP CONSTRAINT open_reservations_tenant_id_request_id_fkey;
ALTER TABLE billing.reservations
  DROP CONSTRAINT reservations_tenant_id_request_id_fkey,
  DROP CONSTRAINT reservations_pkey,
  ADD COLUMN revision integer NOT NULL DEFAULT 0 CHECK (revision >= 0),
  ADD COLUMN hold_id  uuid;  -- the pending transfer; of revision 0 the request id

-- Once, for the rows of before.
ALTER TABLE billing.reservations DISABLE TRIGGER refuse_change, NO FORCE ROW LEVEL SECURITY;
UPDATE billing.reservations SET hold_id = request_id;
ALTER TABLE billing.reservations ENABLE TRIGGER refuse_change, FORCE ROW LEVEL SECURITY;

ALTER TABLE billing.reservations
  ALTER COLUMN hold_id SET NOT NULL,
  ADD PRIMARY KEY (tenant_id, request_id, revision),
  ADD UNIQUE (tenant_id, hold_id),
  ADD FOREIGN KEY (tenant_id, hold_id) REFERENCES billing.transfers (tenant_id, id);

-- `revision` is the open one; nothing else of an open reservation changes.
ALTER TABLE billing.open_reservations
  ADD COLUMN revision integer NOT NULL DEFAULT 0,
  ADD FOREIGN KEY (tenant_id, request_id, revision) REFERENCES billing.reservations (tenant_id, request_id, revision);
GRANT UPDATE (revision) ON billing.open_reservations TO allod_billing;

-- Tokens that were delivered although the hold did not cover them are recorded, and not billed.
ALTER TABLE billing.usage_records
  ADD COLUMN revision                 integer NOT NULL DEFAULT 0,
  ADD COLUMN excess_prompt_tokens     bigint NOT NULL DEFAULT 0,
  ADD COLUMN excess_completion_tokens bigint NOT NULL DEFAULT 0,
  DROP CONSTRAINT usage_records_check,
  ADD CONSTRAINT cost_is_tokens_times_price CHECK (cost = CASE WHEN billed
    THEN (prompt_tokens - excess_prompt_tokens) * prompt_price
       + (completion_tokens - excess_completion_tokens) * completion_price ELSE 0 END),
  ADD CHECK (excess_prompt_tokens BETWEEN 0 AND prompt_tokens),
  ADD CHECK (excess_completion_tokens BETWEEN 0 AND completion_tokens),
  ADD FOREIGN KEY (tenant_id, request_id, revision) REFERENCES billing.reservations (tenant_id, request_id, revision);

-- Both give the newest revision and how its hold ended, if it has.
DROP FUNCTION billing.lock_for_reserve(uuid, uuid, uuid, text, text);
CREATE FUNCTION billing.lock_for_reserve(p_tenant uuid, p_request uuid, p_price_book uuid, p_variant text, p_class text)
RETURNS TABLE (account billing.billing_accounts, receivable billing.ledger_accounts, price_book billing.price_books,
               price billing.token_prices, reservation billing.reservations, terminal_kind text)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM billing.billing_accounts a WHERE a.tenant_id = p_tenant FOR NO KEY UPDATE;
  RETURN QUERY
    SELECT a, l, b, p.price, r.newest, x.kind
    FROM (SELECT p_tenant AS tenant_id) AS t
    LEFT JOIN billing.billing_accounts a ON a.tenant_id = t.tenant_id
    LEFT JOIN billing.ledger_accounts l ON l.tenant_id = t.tenant_id AND l.code = 'receivable'
    LEFT JOIN billing.price_books b ON b.id = p_price_book
    LEFT JOIN LATERAL (
      SELECT x AS price FROM billing.token_prices x
      WHERE x.price_book_id = p_price_book AND x.currency_code = a.currency_code AND x.variant_id IN (p_variant, '')
        AND x.isolation_class IN (p_class, '')
      ORDER BY x.variant_id = '', x.isolation_class = '' LIMIT 1) AS p ON true
    LEFT JOIN LATERAL (
      SELECT v AS newest, v.hold_id FROM billing.reservations v
      WHERE v.tenant_id = t.tenant_id AND v.request_id = p_request ORDER BY v.revision DESC LIMIT 1) AS r ON true
    LEFT JOIN billing.transfers x ON x.tenant_id = t.tenant_id AND x.pending_id = r.hold_id;
END $$;

DROP FUNCTION billing.lock_for_settle(uuid, uuid);
CREATE FUNCTION billing.lock_for_settle(p_tenant uuid, p_request uuid)
RETURNS TABLE (reservation billing.reservations, terminal_kind text, usage_record billing.usage_records)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM billing.billing_accounts a WHERE a.tenant_id = p_tenant FOR NO KEY UPDATE;
  RETURN QUERY
    SELECT r.newest, t.kind, u
    FROM (SELECT p_tenant AS tenant_id) AS k
    LEFT JOIN LATERAL (
      SELECT v AS newest, v.hold_id FROM billing.reservations v
      WHERE v.tenant_id = k.tenant_id AND v.request_id = p_request ORDER BY v.revision DESC LIMIT 1) AS r ON true
    LEFT JOIN billing.transfers t ON t.tenant_id = k.tenant_id AND t.pending_id = r.hold_id
    LEFT JOIN billing.usage_records u ON u.tenant_id = k.tenant_id AND u.request_id = p_request;
END $$;
