-- Charges: what an invoice asks or gives back beside tokens. Instance time, storage, what price terms take off or add, and
-- corrections that wait for the next invoice.
--
-- They are lines of an invoice like those of tokens, numbered among them, and may be negative; an invoice as a whole never is.
-- Where they come from: running totals of instance time, single ones that wait, and price terms, which follow from both and from
-- usage when the month is finalised. They are booked when they are invoiced, because nothing posted them before.

---------------------------------------------------------------------------------------------------------------------
-- Where they come from.

-- What instances were there for, by the second, at the price of an hour. Filled by triggers alone; an invoice takes what is open.
CREATE TABLE billing.instance_time_totals (
  tenant_id        uuid NOT NULL REFERENCES billing.billing_accounts (tenant_id),
  month            date NOT NULL,  -- its first day; of the time itself, in UTC
  instance         text NOT NULL,
  variant          text NOT NULL,
  isolation_class  text NOT NULL,
  price_book_id    uuid NOT NULL,
  hour_price       numeric(38,0) NOT NULL CHECK (hour_price >= 0),
  seconds          bigint NOT NULL,  -- of each replica
  seconds_invoiced bigint NOT NULL DEFAULT 0 CHECK (seconds_invoiced BETWEEN 0 AND seconds),
  open             boolean NOT NULL GENERATED ALWAYS AS (seconds > seconds_invoiced) STORED,
  PRIMARY KEY (tenant_id, month, instance, variant, isolation_class, price_book_id)
);
CREATE INDEX instance_time_totals_open ON billing.instance_time_totals (tenant_id, month) WHERE open;

-- Single ones, which wait for the next invoice that has room for them. Insert-only but for `open`.
CREATE TABLE billing.charges (
  tenant_id       uuid NOT NULL REFERENCES billing.billing_accounts (tenant_id),
  id              uuid NOT NULL,
  month           date NOT NULL,  -- in the draft of which it is
  kind            text NOT NULL CHECK (kind IN ('rerating')),
  instance        text NOT NULL,  -- may be empty, as the next two
  variant         text NOT NULL,
  isolation_class text NOT NULL,
  detail          text NOT NULL,
  quantity        bigint NOT NULL CHECK (quantity > 0),
  unit            text NOT NULL CHECK (unit IN ('one', 'second', 'token')),
  per             bigint NOT NULL CHECK (per > 0),
  unit_price      numeric(38,0) NOT NULL,  -- of `per` units
  exact           numeric(38,0) NOT NULL CHECK (exact <> 0),
  request_id      uuid NOT NULL,
  payload_sha256  text NOT NULL,
  create_time     timestamptz NOT NULL,
  open            boolean NOT NULL DEFAULT true,  -- no invoice has it; moved by the trigger on invoice_charges alone
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, request_id),
  CHECK (extract(day FROM month) = 1),
  CHECK (abs(exact * per - quantity * unit_price) * 2 <= per)
);
CREATE INDEX charges_open ON billing.charges (tenant_id, month) WHERE open;

---------------------------------------------------------------------------------------------------------------------
-- Of an invoice, and of a credit note. Their numbers are among those of invoice_lines and credit_note_lines.

CREATE TABLE billing.invoice_charges (
  tenant_id        uuid NOT NULL,
  invoice_id       text COLLATE "C" NOT NULL,
  number           integer NOT NULL CHECK (number > 0),
  month            date NOT NULL,
  kind             text NOT NULL CHECK (kind IN ('instance_time', 'free_allowance', 'volume_tier', 'discount',
                                                 'commitment_shortfall', 'rerating')),
  source           text NOT NULL CHECK (source IN ('instance_time', 'charge', 'terms')),
  charge_id        uuid,
  term             text COLLATE "C" NOT NULL,  -- of terms: which of them
  instance         text NOT NULL,
  variant          text NOT NULL,
  price_book_id    uuid,
  isolation_class  text NOT NULL,
  detail           text NOT NULL,
  quantity         bigint NOT NULL CHECK (quantity > 0),
  unit             text NOT NULL CHECK (unit IN ('one', 'second', 'token')),
  per              bigint NOT NULL CHECK (per > 0),
  unit_price       numeric(38,0) NOT NULL,
  exact            numeric(38,0) NOT NULL,
  amount           numeric(38,0) NOT NULL,
  tax_category     text NOT NULL,
  tax_basis_points integer NOT NULL,
  PRIMARY KEY (tenant_id, invoice_id, number),
  UNIQUE (tenant_id, charge_id),  -- a single one is in one invoice
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id),
  FOREIGN KEY (tenant_id, charge_id) REFERENCES billing.charges (tenant_id, id),
  CHECK ((source = 'charge') = (charge_id IS NOT NULL)),
  CHECK ((source = 'terms') = (term <> '')),
  CHECK ((source = 'instance_time') = (price_book_id IS NOT NULL)),
  -- Half a unit of 10^-12 at most is lost where the price is of several units.
  CHECK (abs(exact * per - quantity * unit_price) * 2 <= per),
  CHECK (amount * exact >= 0)
);
CREATE UNIQUE INDEX one_line_per_term ON billing.invoice_charges (tenant_id, invoice_id, month, term) WHERE source = 'terms';

-- What a credit note gives back of a charge, or takes back of one that had taken something off.
CREATE TABLE billing.credit_note_charges (
  tenant_id     uuid NOT NULL,
  invoice_id    text COLLATE "C" NOT NULL,  -- of the credit note
  number        integer NOT NULL CHECK (number > 0),
  credited_id   text COLLATE "C" NOT NULL,
  credited_line integer NOT NULL,
  amount        numeric(38,0) NOT NULL CHECK (amount <> 0),
  PRIMARY KEY (tenant_id, invoice_id, number),
  UNIQUE (tenant_id, invoice_id, credited_line),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id),
  FOREIGN KEY (tenant_id, credited_id, credited_line) REFERENCES billing.invoice_charges (tenant_id, invoice_id, number)
);
CREATE INDEX credit_note_charges_by_line ON billing.credit_note_charges (tenant_id, credited_id, credited_line);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['instance_time_totals', 'charges', 'invoice_charges', 'credit_note_charges'] LOOP
    EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE billing.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant_rows ON billing.%I
                      USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
                      WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)$p$, t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['instance_time_totals', 'charges', 'invoice_charges', 'credit_note_charges'] LOOP
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON billing.%I FROM allod_billing', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['invoice_charges', 'credit_note_charges'] LOOP
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change()', t);
    EXECUTE format('CREATE TRIGGER check_joins_new_invoice BEFORE INSERT ON billing.%I
                    FOR EACH ROW EXECUTE FUNCTION billing.check_joins_new_invoice()', t);
  END LOOP;
END $$;
REVOKE INSERT ON billing.instance_time_totals FROM allod_billing;
REVOKE INSERT ON billing.charges FROM allod_billing;
GRANT INSERT (tenant_id, id, month, kind, instance, variant, isolation_class, detail, quantity, unit, per, unit_price, exact,
  request_id, payload_sha256, create_time) ON billing.charges TO allod_billing;

-- An invoice takes all the time that is open of a row, at its price; and a single charge as it is.
CREATE FUNCTION billing.take_charge() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  CASE NEW.source
  WHEN 'instance_time' THEN
    UPDATE billing.instance_time_totals t SET seconds_invoiced = t.seconds
      WHERE t.tenant_id = NEW.tenant_id AND t.month = NEW.month AND t.instance = NEW.instance AND t.variant = NEW.variant
        AND t.isolation_class = NEW.isolation_class AND t.price_book_id = NEW.price_book_id
        AND (NEW.kind, NEW.unit, NEW.per) = ('instance_time', 'second', 3600) AND NEW.unit_price = t.hour_price
        AND NEW.quantity = t.seconds - t.seconds_invoiced;
  WHEN 'charge' THEN
    UPDATE billing.charges c SET open = false
      WHERE c.tenant_id = NEW.tenant_id AND c.id = NEW.charge_id AND c.open
        AND (c.month, c.kind, c.instance, c.exact) = (NEW.month, NEW.kind, NEW.instance, NEW.exact);
  ELSE
    RETURN NULL;
  END CASE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'line % of invoice % is not what is to be invoiced', NEW.number, NEW.invoice_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER take_charge AFTER INSERT ON billing.invoice_charges
  FOR EACH ROW EXECUTE FUNCTION billing.take_charge();

---------------------------------------------------------------------------------------------------------------------
-- The ledger. Exact, as usage is; the line's rounding is in that of the invoice.
--   charge    what an invoice's charges ask
--   discount  what they take off

ALTER TABLE billing.transfers
  DROP CONSTRAINT transfers_kind_check,
  ADD CONSTRAINT transfers_kind_check CHECK (kind IN ('pending', 'post', 'void', 'expire', 'late_post', 'lease',
    'lease_return', 'lease_post', 'lease_late_post', 'lease_short_post', 'rounding', 'tax', 'credit', 'credit_tax', 'charge',
    'discount')),
  DROP CONSTRAINT transfers_check3,
  ADD CONSTRAINT transfers_of_invoices CHECK (
    (kind IN ('rounding', 'tax', 'credit', 'credit_tax', 'charge', 'discount')) = (invoice_id IS NOT NULL)),
  DROP CONSTRAINT transfers_check4,
  ADD CONSTRAINT accounts_of_invoices CHECK (CASE kind
    WHEN 'rounding' THEN (debit, credit) IN (('receivable', 'rounding'), ('rounding', 'receivable'))
    WHEN 'tax' THEN (debit, credit) = ('receivable', 'tax-payable')
    WHEN 'charge' THEN (debit, credit) = ('receivable', 'usage-revenue')
    WHEN 'discount' THEN (debit, credit) = ('usage-revenue', 'receivable')
    WHEN 'credit' THEN (debit, credit) = ('usage-revenue', 'receivable')
    WHEN 'credit_tax' THEN (debit, credit) = ('tax-payable', 'receivable')
    ELSE true END);

---------------------------------------------------------------------------------------------------------------------
-- What is wrong with a document, with its charges.

CREATE OR REPLACE FUNCTION billing.invoice_fault(p_tenant uuid, p_id text) RETURNS text
LANGUAGE sql STABLE AS $$
  WITH doc AS (SELECT * FROM billing.invoices i WHERE i.tenant_id = p_tenant AND i.id = p_id),
  lines AS (
    SELECT l.number, l.amount, l.exact FROM billing.invoice_lines l WHERE l.tenant_id = p_tenant AND l.invoice_id = p_id
    UNION ALL SELECT g.number, g.amount, g.exact FROM billing.invoice_charges g
      WHERE g.tenant_id = p_tenant AND g.invoice_id = p_id
    UNION ALL SELECT c.number, c.amount, c.amount FROM billing.credit_note_lines c
      WHERE c.tenant_id = p_tenant AND c.invoice_id = p_id
    UNION ALL SELECT h.number, h.amount, h.amount FROM billing.credit_note_charges h
      WHERE h.tenant_id = p_tenant AND h.invoice_id = p_id),
  added AS (SELECT count(*) AS count, count(DISTINCT number) AS numbers, coalesce(sum(amount), 0) AS net,
      coalesce(sum(exact), 0) AS exact FROM lines),
  charged AS (SELECT coalesce(sum(g.exact) FILTER (WHERE g.exact > 0), 0) AS charge,
      coalesce(-sum(g.exact) FILTER (WHERE g.exact < 0), 0) AS discount
    FROM billing.invoice_charges g WHERE g.tenant_id = p_tenant AND g.invoice_id = p_id),
  taxed AS (SELECT coalesce(sum(x.taxable), 0) AS taxable, coalesce(sum(x.tax), 0) AS tax FROM billing.invoice_taxes x
    WHERE x.tenant_id = p_tenant AND x.invoice_id = p_id),
  moved AS (
    SELECT coalesce(sum(CASE t.debit WHEN 'rounding' THEN t.amount ELSE -t.amount END) FILTER (WHERE t.kind = 'rounding'), 0)
        AS residue,
      coalesce(sum(t.amount) FILTER (WHERE t.kind IN ('tax', 'credit_tax')), 0) AS tax,
      coalesce(sum(t.amount) FILTER (WHERE t.kind = 'charge'), 0) AS charge,
      coalesce(sum(t.amount) FILTER (WHERE t.kind = 'discount'), 0) AS discount,
      coalesce(sum(t.amount) FILTER (WHERE t.kind = 'credit'), 0) AS credit
    FROM billing.transfers t WHERE t.tenant_id = p_tenant AND t.invoice_id = p_id),
  -- Of the invoice, whether this is it or a credit note of it.
  credited AS (
    SELECT c.credited_line, sum(c.amount) AS amount, l.amount AS of_line FROM billing.credit_note_lines c
    JOIN doc ON c.credited_id = coalesce(doc.corrected_id, doc.id)
    JOIN billing.invoice_lines l
      ON l.tenant_id = c.tenant_id AND l.invoice_id = c.credited_id AND l.number = c.credited_line
    WHERE c.tenant_id = p_tenant GROUP BY c.credited_line, l.amount
    UNION ALL
    SELECT h.credited_line, sum(h.amount), g.amount FROM billing.credit_note_charges h
    JOIN doc ON h.credited_id = coalesce(doc.corrected_id, doc.id)
    JOIN billing.invoice_charges g
      ON g.tenant_id = h.tenant_id AND g.invoice_id = h.credited_id AND g.number = h.credited_line
    WHERE h.tenant_id = p_tenant GROUP BY h.credited_line, g.amount)
  SELECT CASE
    WHEN added.count = 0 THEN 'has no lines'
    WHEN added.numbers <> added.count THEN 'two of its lines have one number'
    WHEN doc.net <> added.net THEN 'its net is not the sum of its lines'
    WHEN doc.residue <> added.exact - added.net THEN 'its residue is not what rounding left'
    WHEN doc.net <> taxed.taxable OR doc.tax <> taxed.tax THEN 'its taxes do not add up'
    WHEN doc.residue <> moved.residue THEN 'its residue was not booked'
    WHEN doc.tax <> moved.tax THEN 'its tax was not booked'
    WHEN (moved.charge, moved.discount) <> (charged.charge, charged.discount) THEN 'its charges were not booked'
    WHEN moved.credit <> CASE doc.kind WHEN 'credit_note' THEN doc.net ELSE 0 END THEN 'its credit was not booked'
    WHEN EXISTS (SELECT FROM credited d WHERE d.amount * sign(d.of_line) NOT BETWEEN 0 AND abs(d.of_line))
      OR (SELECT sum(d.amount) FROM credited d) > (
        SELECT i.net FROM billing.invoices i WHERE i.tenant_id = p_tenant AND i.id = coalesce(doc.corrected_id, doc.id))
      THEN 'more is credited than was invoiced'
    END
  FROM doc, added, charged, taxed, moved
$$;

---------------------------------------------------------------------------------------------------------------------
-- Charges make a month due as usage does, but for those that take something off.

CREATE POLICY owner_finds_due_periods ON billing.instance_time_totals FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_finds_due_periods ON billing.charges FOR SELECT TO CURRENT_USER USING (true);

-- The first month from p_from on, and before p_before, of which something is to be invoiced.
CREATE FUNCTION billing.first_open_month(p_tenant uuid, p_from date, p_before date) RETURNS date
LANGUAGE sql STABLE AS $$
  SELECT least(
    (SELECT t.month FROM billing.usage_totals t
     WHERE t.tenant_id = p_tenant AND t.open AND t.month >= p_from AND t.month < p_before ORDER BY t.month LIMIT 1),
    (SELECT t.month FROM billing.instance_time_totals t
     WHERE t.tenant_id = p_tenant AND t.open AND t.month >= p_from AND t.month < p_before ORDER BY t.month LIMIT 1),
    (SELECT c.month FROM billing.charges c
     WHERE c.tenant_id = p_tenant AND c.open AND c.exact > 0 AND c.month >= p_from AND c.month < p_before
     ORDER BY c.month LIMIT 1))
$$;
REVOKE ALL ON FUNCTION billing.first_open_month(uuid, date, date) FROM PUBLIC;

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
    SELECT billing.first_open_month(p.tenant_id, coalesce(last.next, '-infinity'), before.month) AS month) AS own
  CROSS JOIN LATERAL (
    SELECT CASE WHEN own.month IS NULL AND last.next < before.month
        AND billing.first_open_month(p.tenant_id, '-infinity', last.next) IS NOT NULL
      THEN last.next END AS month) AS late
  CROSS JOIN LATERAL (SELECT coalesce(own.month, late.month) AS month) AS due
  WHERE NOT p.finalise_by_hand AND p.tenant_id > p_after AND due.month IS NOT NULL
  ORDER BY p.tenant_id LIMIT p_limit
$$;
