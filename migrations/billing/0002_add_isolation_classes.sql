-- Prices by isolation class. Everything recorded before ran isolated.

ALTER TABLE billing.token_prices
  ADD COLUMN isolation_class text NOT NULL DEFAULT ''  -- '': every class without a row of its own
    CHECK (isolation_class IN ('', 'pooled', 'isolated', 'dedicated')),
  DROP CONSTRAINT token_prices_pkey,
  ADD PRIMARY KEY (price_book_id, currency_code, variant_id, isolation_class);

ALTER TABLE billing.reservations
  ADD COLUMN isolation_class text NOT NULL DEFAULT 'isolated'
    CHECK (isolation_class IN ('pooled', 'isolated', 'dedicated'));
ALTER TABLE billing.usage_records
  ADD COLUMN isolation_class text NOT NULL DEFAULT 'isolated'
    CHECK (isolation_class IN ('pooled', 'isolated', 'dedicated'));

-- The most specific row prices a request: variant and class, else variant, else class, else neither.
DROP FUNCTION billing.lock_for_reserve(uuid, uuid, uuid, text);
CREATE FUNCTION billing.lock_for_reserve(p_tenant uuid, p_request uuid, p_price_book uuid, p_variant text, p_class text)
RETURNS TABLE (account billing.billing_accounts, receivable billing.ledger_accounts, price_book billing.price_books,
               price billing.token_prices, reservation billing.reservations)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM billing.billing_accounts a WHERE a.tenant_id = p_tenant FOR NO KEY UPDATE;
  RETURN QUERY
    SELECT a, l, b, p.price, r
    FROM (SELECT p_tenant AS tenant_id) AS t
    LEFT JOIN billing.billing_accounts a ON a.tenant_id = t.tenant_id
    LEFT JOIN billing.ledger_accounts l ON l.tenant_id = t.tenant_id AND l.code = 'receivable'
    LEFT JOIN billing.price_books b ON b.id = p_price_book
    LEFT JOIN LATERAL (
      SELECT x AS price FROM billing.token_prices x
      WHERE x.price_book_id = p_price_book AND x.currency_code = a.currency_code AND x.variant_id IN (p_variant, '')
        AND x.isolation_class IN (p_class, '')
      ORDER BY x.variant_id = '', x.isolation_class = '' LIMIT 1) AS p ON true
    LEFT JOIN billing.reservations r ON r.tenant_id = t.tenant_id AND r.request_id = p_request;
END $$;
