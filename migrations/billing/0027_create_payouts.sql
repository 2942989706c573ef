-- Publishers' money: what share of a listing's usage its publisher gets, what each document earned or took back, and the statements by
-- which it is paid.
--
-- A share is booked in the transaction that issues a document, at its commit, by a trigger: the app role can neither leave it out nor
-- book another. What a publisher earned with all tenants is written beside it into a table of the platform, so that a statement never
-- reads rows of tenants.

---------------------------------------------------------------------------------------------------------------------
-- Terms of listings. The newest that there is when an invoice is issued counts, and is copied into what it earned.

CREATE TABLE billing.revenue_shares (
  listing      text COLLATE "C" NOT NULL CHECK (listing ~ '^listings/[^/]+$'),
  version      integer NOT NULL CHECK (version > 0),
  publisher    text COLLATE "C" NOT NULL CHECK (publisher ~ '^publishers/[^/]+$'),
  basis_points integer NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),
  create_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (listing, version)
);

---------------------------------------------------------------------------------------------------------------------
-- Of one tenant: what a document earned, or of a credit note took back.

CREATE TABLE billing.publisher_shares (
  tenant_id    uuid NOT NULL,
  invoice_id   text COLLATE "C" NOT NULL,
  listing      text COLLATE "C" NOT NULL,
  publisher    text COLLATE "C" NOT NULL,
  basis_points integer NOT NULL CHECK (basis_points BETWEEN 1 AND 10000),
  net          numeric(38,0) NOT NULL CHECK (net > 0),  -- of its lines of tokens of the listing
  share        numeric(38,0) NOT NULL,
  PRIMARY KEY (tenant_id, invoice_id, listing),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id),
  -- Exact: net is whole minor units, which are 10^8 at least.
  CHECK (share * 10000 = net * basis_points)
);
ALTER TABLE billing.publisher_shares ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.publisher_shares FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.publisher_shares
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);

---------------------------------------------------------------------------------------------------------------------
-- Of the platform.

CREATE TABLE billing.publisher_earnings (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  publisher     text COLLATE "C" NOT NULL,
  currency_code text NOT NULL,
  month         date NOT NULL,  -- in which the document was issued
  listing       text COLLATE "C" NOT NULL,
  basis_points  integer NOT NULL,
  document      text NOT NULL,           -- its number
  net           numeric(38,0) NOT NULL,  -- of a credit note negative, as its share
  share         numeric(38,0) NOT NULL CHECK (share * 10000 = net * basis_points),
  source        uuid NOT NULL,  -- whose document it is
  source_id     text COLLATE "C" NOT NULL,
  UNIQUE (source, source_id, listing)
);
CREATE INDEX publisher_earnings_by_publisher ON billing.publisher_earnings (publisher, currency_code, month);

CREATE TABLE billing.payouts (
  publisher       text COLLATE "C" NOT NULL,
  currency_code   text NOT NULL,
  month           date NOT NULL CHECK (extract(day FROM month) = 1),
  legal_entity_id text NOT NULL REFERENCES billing.legal_entities,  -- who pays, as it was named then
  sequence        bigint NOT NULL,
  number          text NOT NULL,
  issue_time      timestamptz NOT NULL,
  payer_name      text NOT NULL,
  payer_street    text NOT NULL,
  payer_city      text NOT NULL,
  payer_postal_code text NOT NULL,
  payer_country_code text NOT NULL,
  payer_tax_id    text NOT NULL,
  payer_registration_id text NOT NULL,
  earned          numeric(38,0) NOT NULL,
  payable         numeric(38,0) NOT NULL CHECK (payable > 0 AND payable <= earned),  -- whole minor units; the rest stays with the payer
  create_xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (publisher, currency_code, month),
  UNIQUE (legal_entity_id, sequence)
);
-- By listing and share, of all documents.
CREATE TABLE billing.payout_lines (
  publisher      text COLLATE "C" NOT NULL,
  currency_code  text NOT NULL,
  month          date NOT NULL,
  number         integer NOT NULL CHECK (number > 0),
  listing        text COLLATE "C" NOT NULL,
  basis_points   integer NOT NULL,
  document_count bigint NOT NULL CHECK (document_count > 0),
  net            numeric(38,0) NOT NULL,
  share          numeric(38,0) NOT NULL CHECK (share * 10000 = net * basis_points),
  PRIMARY KEY (publisher, currency_code, month, number),
  FOREIGN KEY (publisher, currency_code, month) REFERENCES billing.payouts DEFERRABLE INITIALLY DEFERRED
);
-- Which earnings: each in one payout.
CREATE TABLE billing.payout_items (
  earning_id    bigint PRIMARY KEY REFERENCES billing.publisher_earnings,
  publisher     text COLLATE "C" NOT NULL,
  currency_code text NOT NULL,
  month         date NOT NULL,
  FOREIGN KEY (publisher, currency_code, month) REFERENCES billing.payouts DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX payout_items_by_payout ON billing.payout_items (publisher, currency_code, month);
CREATE TABLE billing.payout_payments (
  publisher     text COLLATE "C" NOT NULL,
  currency_code text NOT NULL,
  month         date NOT NULL,
  paid_on       date NOT NULL,
  reference     text NOT NULL CHECK (reference <> ''),
  create_time   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (publisher, currency_code, month),
  FOREIGN KEY (publisher, currency_code, month) REFERENCES billing.payouts
);
-- The last number given by each legal entity. Moved by the trigger on payouts alone.
CREATE TABLE billing.payout_numbers (
  legal_entity_id text PRIMARY KEY REFERENCES billing.legal_entities,
  last            bigint NOT NULL
);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['revenue_shares', 'publisher_shares', 'publisher_earnings', 'payouts', 'payout_lines', 'payout_items',
                           'payout_payments'] LOOP
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON billing.%I FROM allod_billing', t);
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change()', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['publisher_shares', 'publisher_earnings', 'payout_numbers'] LOOP
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.%I FROM allod_billing', t);
  END LOOP;
END $$;

---------------------------------------------------------------------------------------------------------------------
-- The ledger:
--   publisher_share       of an invoice, from usage-revenue to publisher-payable
--   publisher_share_back  of a credit note, the other way, at the share that the invoice had

ALTER TABLE billing.transfers
  DROP CONSTRAINT transfers_kind_check,
  ADD CONSTRAINT transfers_kind_check CHECK (kind IN ('pending', 'post', 'void', 'expire', 'late_post', 'lease',
    'lease_return', 'lease_post', 'lease_late_post', 'lease_short_post', 'rounding', 'tax', 'credit', 'credit_tax', 'charge',
    'discount', 'instance_time', 'top_up', 'redeem', 'refund', 'payment', 'wallet_payment', 'overpayment', 'publisher_share',
    'publisher_share_back')),
  DROP CONSTRAINT transfers_of_invoices,
  ADD CONSTRAINT transfers_of_invoices CHECK (
    (kind IN ('rounding', 'tax', 'credit', 'credit_tax', 'charge', 'discount', 'publisher_share', 'publisher_share_back'))
      = (invoice_id IS NOT NULL)),
  ADD CONSTRAINT accounts_of_publishers CHECK (CASE kind
    WHEN 'publisher_share' THEN (debit, credit) = ('usage-revenue', 'publisher-payable')
    WHEN 'publisher_share_back' THEN (debit, credit) = ('publisher-payable', 'usage-revenue')
    ELSE 'publisher-payable' NOT IN (debit, credit) END);

CREATE FUNCTION billing.book_publisher_shares() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  total numeric(38,0);
  sign  integer := CASE NEW.kind WHEN 'invoice' THEN 1 ELSE -1 END;
BEGIN
  IF NEW.kind = 'invoice' THEN
    INSERT INTO billing.publisher_shares (tenant_id, invoice_id, listing, publisher, basis_points, net, share)
      SELECT NEW.tenant_id, NEW.id, x.listing, s.publisher, s.basis_points, x.net, x.net * s.basis_points / 10000
      FROM (
        SELECT b.listing, sum(l.amount) AS net FROM billing.invoice_lines l
        JOIN billing.price_books b ON b.id = l.price_book_id
        WHERE l.tenant_id = NEW.tenant_id AND l.invoice_id = NEW.id GROUP BY b.listing) AS x
      CROSS JOIN LATERAL (
        SELECT r.publisher, r.basis_points FROM billing.revenue_shares r
        WHERE r.listing = x.listing ORDER BY r.version DESC LIMIT 1) AS s
      WHERE s.basis_points > 0 AND x.net > 0;
  ELSE
    INSERT INTO billing.publisher_shares (tenant_id, invoice_id, listing, publisher, basis_points, net, share)
      SELECT NEW.tenant_id, NEW.id, p.listing, p.publisher, p.basis_points, x.net, x.net * p.basis_points / 10000
      FROM (
        SELECT b.listing, sum(c.amount) AS net FROM billing.credit_note_lines c
        JOIN billing.invoice_lines l
          ON l.tenant_id = c.tenant_id AND l.invoice_id = c.credited_id AND l.number = c.credited_line
        JOIN billing.price_books b ON b.id = l.price_book_id
        WHERE c.tenant_id = NEW.tenant_id AND c.invoice_id = NEW.id GROUP BY b.listing) AS x
      JOIN billing.publisher_shares p
        ON p.tenant_id = NEW.tenant_id AND p.invoice_id = NEW.corrected_id AND p.listing = x.listing;
  END IF;
  SELECT coalesce(sum(p.share), 0) INTO total FROM billing.publisher_shares p
    WHERE p.tenant_id = NEW.tenant_id AND p.invoice_id = NEW.id;
  IF total = 0 THEN RETURN NULL; END IF;
  INSERT INTO billing.publisher_earnings (publisher, currency_code, month, listing, basis_points, document, net, share, source,
      source_id)
    SELECT p.publisher, NEW.currency_code, date_trunc('month', NEW.issue_time AT TIME ZONE 'UTC')::date, p.listing, p.basis_points,
      NEW.number, sign * p.net, sign * p.share, p.tenant_id, p.invoice_id
    FROM billing.publisher_shares p WHERE p.tenant_id = NEW.tenant_id AND p.invoice_id = NEW.id ORDER BY p.listing;
  INSERT INTO billing.ledger_accounts (tenant_id, code, currency_code)
    VALUES (NEW.tenant_id, 'publisher-payable', NEW.currency_code) ON CONFLICT DO NOTHING;
  INSERT INTO billing.transfers (tenant_id, id, kind, invoice_id, debit, credit, currency_code, amount, create_time)
    VALUES (NEW.tenant_id, gen_random_uuid(), CASE sign WHEN 1 THEN 'publisher_share' ELSE 'publisher_share_back' END, NEW.id,
      CASE sign WHEN 1 THEN 'usage-revenue' ELSE 'publisher-payable' END,
      CASE sign WHEN 1 THEN 'publisher-payable' ELSE 'usage-revenue' END, NEW.currency_code, total, NEW.issue_time);
  RETURN NULL;
END $$;
-- Once its lines are there. By its name before check_invoice.
CREATE CONSTRAINT TRIGGER book_publisher_shares AFTER INSERT ON billing.invoices DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION billing.book_publisher_shares();

-- What is wrong with what a document earned; NULL if nothing is. For the audit.
CREATE FUNCTION billing.share_fault(p_tenant uuid, p_id text) RETURNS text
LANGUAGE sql STABLE AS $$
  WITH doc AS (SELECT * FROM billing.invoices i WHERE i.tenant_id = p_tenant AND i.id = p_id),
  shares AS (SELECT * FROM billing.publisher_shares p WHERE p.tenant_id = p_tenant AND p.invoice_id = p_id),
  nets AS (
    SELECT b.listing, sum(x.amount) AS net FROM (
      SELECT l.price_book_id, l.amount FROM billing.invoice_lines l WHERE l.tenant_id = p_tenant AND l.invoice_id = p_id
      UNION ALL
      SELECT l.price_book_id, c.amount FROM billing.credit_note_lines c
      JOIN billing.invoice_lines l
        ON l.tenant_id = c.tenant_id AND l.invoice_id = c.credited_id AND l.number = c.credited_line
      WHERE c.tenant_id = p_tenant AND c.invoice_id = p_id) AS x
    JOIN billing.price_books b ON b.id = x.price_book_id GROUP BY b.listing),
  moved AS (
    SELECT coalesce(sum(t.amount), 0) AS amount FROM billing.transfers t
    WHERE t.tenant_id = p_tenant AND t.invoice_id = p_id
      AND t.kind = (SELECT CASE d.kind WHEN 'invoice' THEN 'publisher_share' ELSE 'publisher_share_back' END FROM doc d)),
  earned AS (
    SELECT coalesce(sum(e.share), 0) AS share, count(*) AS count FROM billing.publisher_earnings e
    WHERE e.source = p_tenant AND e.source_id = p_id)
  SELECT CASE
    WHEN EXISTS (SELECT FROM shares s LEFT JOIN nets n USING (listing) WHERE s.net IS DISTINCT FROM n.net)
      THEN 'a publisher''s share is not of its lines'
    WHEN doc.kind = 'credit_note' AND EXISTS (
      SELECT FROM nets n JOIN billing.publisher_shares p
        ON p.tenant_id = p_tenant AND p.invoice_id = doc.corrected_id AND p.listing = n.listing
      LEFT JOIN shares s ON s.listing = n.listing
      WHERE (s.publisher, s.basis_points) IS DISTINCT FROM (p.publisher, p.basis_points))
      THEN 'it takes back another share than the invoice gave'
    WHEN moved.amount <> (SELECT coalesce(sum(s.share), 0) FROM shares s) THEN 'a publisher''s share was not booked'
    WHEN abs(earned.share) <> moved.amount OR earned.count <> (SELECT count(*) FROM shares) OR
      sign(earned.share) * CASE doc.kind WHEN 'invoice' THEN 1 ELSE -1 END < 0 THEN 'a publisher''s share is not in its earnings'
    END
  FROM doc, moved, earned
$$;

---------------------------------------------------------------------------------------------------------------------
-- A payout is whole from the start: gapless number by legal entity, and at commit it is added up.

CREATE FUNCTION billing.number_payout() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.issue_time > clock_timestamp() + interval '5 minutes' THEN
    RAISE EXCEPTION 'a payout is of the future: %', NEW.issue_time USING ERRCODE = 'check_violation';
  END IF;
  INSERT INTO billing.payout_numbers AS n (legal_entity_id, last) VALUES (NEW.legal_entity_id, 1)
    ON CONFLICT (legal_entity_id) DO UPDATE SET last = n.last + 1 RETURNING n.last INTO NEW.sequence;
  NEW.create_xid := pg_current_xact_id();
  NEW.number := 'PAYOUT-' || NEW.legal_entity_id || '-' || lpad(NEW.sequence::text, greatest(6, length(NEW.sequence::text)), '0');
  RETURN NEW;
END $$;
CREATE TRIGGER number_payout BEFORE INSERT ON billing.payouts
  FOR EACH ROW EXECUTE FUNCTION billing.number_payout();

CREATE FUNCTION billing.payout_fault(p_publisher text, p_currency text, p_month date) RETURNS text
LANGUAGE sql STABLE AS $$
  WITH doc AS (SELECT * FROM billing.payouts p WHERE (p.publisher, p.currency_code, p.month) = (p_publisher, p_currency, p_month)),
  lines AS (SELECT coalesce(sum(l.share), 0) AS share, coalesce(sum(l.document_count), 0) AS count FROM billing.payout_lines l
    WHERE (l.publisher, l.currency_code, l.month) = (p_publisher, p_currency, p_month)),
  items AS (SELECT coalesce(sum(e.share), 0) AS share, count(*) AS count,
      count(*) FILTER (WHERE e.publisher <> p_publisher OR e.currency_code <> p_currency OR e.month > p_month) AS foreign_count
    FROM billing.payout_items i JOIN billing.publisher_earnings e ON e.id = i.earning_id
    WHERE (i.publisher, i.currency_code, i.month) = (p_publisher, p_currency, p_month))
  SELECT CASE
    WHEN items.foreign_count > 0 THEN 'has what others earned'
    WHEN doc.earned <> items.share OR doc.earned <> lines.share OR items.count <> lines.count THEN 'does not add up'
    END
  FROM doc, lines, items
$$;
-- Every part of it asks at commit, so that nothing joins it later either.
CREATE FUNCTION billing.check_payout() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE fault text := billing.payout_fault(NEW.publisher, NEW.currency_code, NEW.month);
BEGIN
  IF fault IS NOT NULL THEN
    RAISE EXCEPTION 'the payout to % of %: it %', NEW.publisher, NEW.month, fault USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER check_payout AFTER INSERT ON billing.payouts DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION billing.check_payout();
CREATE CONSTRAINT TRIGGER check_payout AFTER INSERT ON billing.payout_lines DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION billing.check_payout();

-- Its items are many: each asks only whether its payout is of this transaction, whose commit asks the rest.
CREATE FUNCTION billing.check_joins_new_payout() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT p.create_xid FROM billing.payouts p
      WHERE (p.publisher, p.currency_code, p.month) = (NEW.publisher, NEW.currency_code, NEW.month))
     IS DISTINCT FROM pg_current_xact_id() THEN
    RAISE EXCEPTION 'the payout to % of % is immutable', NEW.publisher, NEW.month USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER check_joins_new_payout AFTER INSERT ON billing.payout_items DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION billing.check_joins_new_payout();
