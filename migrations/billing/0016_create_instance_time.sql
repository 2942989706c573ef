-- Instance time: for how long replicas answered, by the second, and what that costs. Scheduling tells of intervals again and again; what
-- is counted of one is a row of `instance_time_entries` for each report and month, and `until_time` says how far it was counted.

CREATE TABLE billing.instance_time_intervals (
  tenant_id       uuid NOT NULL,
  replica_id      uuid NOT NULL,
  start_time      timestamptz NOT NULL,
  until_time      timestamptz NOT NULL,  -- moved by the trigger on entries alone
  instance        text COLLATE "C" NOT NULL,
  generation      bigint NOT NULL,
  variant         text COLLATE "C" NOT NULL,
  price_book_id   uuid NOT NULL REFERENCES billing.price_books,
  isolation_class text COLLATE "C" NOT NULL CHECK (isolation_class IN ('pooled', 'isolated', 'dedicated')),
  currency_code   text NOT NULL,
  second_price    numeric(38,0) NOT NULL CHECK (second_price >= 0),
  PRIMARY KEY (tenant_id, replica_id, start_time),
  FOREIGN KEY (tenant_id, currency_code) REFERENCES billing.billing_accounts (tenant_id, currency_code),
  CHECK (until_time >= start_time)
) WITH (fillfactor = 70);

CREATE TABLE billing.instance_time_entries (
  tenant_id   uuid NOT NULL,
  replica_id  uuid NOT NULL,
  start_time  timestamptz NOT NULL,
  from_time   timestamptz NOT NULL,
  until_time  timestamptz NOT NULL,
  month       date NOT NULL,
  seconds     bigint NOT NULL CHECK (seconds >= 0),
  cost        numeric(38,0) NOT NULL CHECK (cost >= 0),
  transfer_id uuid,  -- NULL: it cost nothing
  record_time timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, replica_id, start_time, until_time),
  UNIQUE (tenant_id, transfer_id),
  FOREIGN KEY (tenant_id, replica_id, start_time)
    REFERENCES billing.instance_time_intervals (tenant_id, replica_id, start_time),
  CHECK (until_time > from_time),
  CHECK ((cost > 0) = (transfer_id IS NOT NULL)),
  -- Of one month, in UTC.
  CHECK (month = date_trunc('month', from_time AT TIME ZONE 'UTC')::date
    AND until_time AT TIME ZONE 'UTC' <= month + interval '1 month')
);

-- What each line of an invoice is made of (0014). What costs nothing by the hour makes no line, and no month due.
ALTER TABLE billing.instance_time_totals
  ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),  -- its place in lists, among those of an instance
  DROP COLUMN open,
  ADD COLUMN open boolean NOT NULL GENERATED ALWAYS AS (hour_price > 0 AND seconds > seconds_invoiced) STORED;
CREATE INDEX instance_time_totals_open ON billing.instance_time_totals (tenant_id, month) WHERE open;

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['instance_time_intervals', 'instance_time_entries'] LOOP
    EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE billing.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant_rows ON billing.%I
                      USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
                      WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)$p$, t);
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON billing.%I FROM allod_billing', t);
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON billing.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change()', t);
  END LOOP;
END $$;
CREATE TRIGGER refuse_update BEFORE UPDATE ON billing.instance_time_entries
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

-- Whole seconds from the start: the sum of the parts is that of the whole.
CREATE FUNCTION billing.whole_seconds(p_start timestamptz, p_until timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$ SELECT floor((billing.to_micros(p_until) - billing.to_micros(p_start))::numeric / 1000000)::bigint $$;

-- An entry goes on where the interval ended; the totals follow. As the owner, because the app role may touch neither.
CREATE FUNCTION billing.count_instance_time() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE i billing.instance_time_intervals;
BEGIN
  UPDATE billing.instance_time_intervals v SET until_time = NEW.until_time
    WHERE v.tenant_id = NEW.tenant_id AND v.replica_id = NEW.replica_id AND v.start_time = NEW.start_time
      AND v.until_time = NEW.from_time
    RETURNING v.* INTO i;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the time of replica % from % was not counted up to %', NEW.replica_id, NEW.start_time, NEW.from_time
      USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.seconds <> billing.whole_seconds(NEW.start_time, NEW.until_time) - billing.whole_seconds(NEW.start_time, NEW.from_time)
     OR NEW.cost <> NEW.seconds * i.second_price THEN
    RAISE EXCEPTION 'the time of replica % up to % is not % seconds, or does not cost %', NEW.replica_id, NEW.until_time,
      NEW.seconds, NEW.cost USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.seconds = 0 THEN RETURN NEW; END IF;
  INSERT INTO billing.instance_time_totals AS t (tenant_id, month, instance, variant, isolation_class, price_book_id,
      hour_price, seconds)
    VALUES (NEW.tenant_id, NEW.month, i.instance, i.variant, i.isolation_class, i.price_book_id, i.second_price * 3600,
      NEW.seconds)
    ON CONFLICT (tenant_id, month, instance, variant, isolation_class, price_book_id) DO UPDATE SET
      seconds = t.seconds + EXCLUDED.seconds;
  RETURN NEW;
END $$;
CREATE TRIGGER count_instance_time BEFORE INSERT ON billing.instance_time_entries
  FOR EACH ROW EXECUTE FUNCTION billing.count_instance_time();

---------------------------------------------------------------------------------------------------------------------
-- The ledger:
--   instance_time  owed for an entry

ALTER TABLE billing.transfers
  DROP CONSTRAINT transfers_kind_check,
  ADD CONSTRAINT transfers_kind_check CHECK (kind IN ('pending', 'post', 'void', 'expire', 'late_post', 'lease',
    'lease_return', 'lease_post', 'lease_late_post', 'lease_short_post', 'rounding', 'tax', 'credit', 'credit_tax', 'charge',
    'discount', 'instance_time')),
  ADD CHECK (kind <> 'instance_time' OR (debit = 'receivable' AND credit = 'usage-revenue' AND amount > 0));

-- How much of a tenant's instance time does not fit together; 0. Asked by the audit.
CREATE FUNCTION billing.instance_time_faults(p_tenant uuid) RETURNS bigint
LANGUAGE sql STABLE AS $$
  WITH entry AS (SELECT * FROM billing.instance_time_entries e WHERE e.tenant_id = p_tenant),
  told AS (SELECT * FROM billing.instance_time_intervals i WHERE i.tenant_id = p_tenant)
  SELECT
    -- What is kept of an interval is not what its entries say.
    (SELECT count(*) FROM told i LEFT JOIN (
        SELECT replica_id, start_time, max(until_time) AS until_time, sum(seconds) AS seconds FROM entry
        GROUP BY replica_id, start_time) e USING (replica_id, start_time)
      WHERE i.until_time <> coalesce(e.until_time, i.start_time)
        OR coalesce(e.seconds, 0) <> billing.whole_seconds(i.start_time, i.until_time))
    -- A total is not the sum of its entries, at its price.
    + (SELECT count(*) FROM (
        SELECT e.month, i.instance, i.variant, i.price_book_id, i.isolation_class, sum(e.seconds) AS seconds,
          sum(e.cost) AS amount
        FROM entry e JOIN told i USING (replica_id, start_time) GROUP BY 1, 2, 3, 4, 5 HAVING sum(e.seconds) > 0) s
      FULL JOIN (SELECT * FROM billing.instance_time_totals x WHERE x.tenant_id = p_tenant) t
        USING (month, instance, variant, price_book_id, isolation_class)
      WHERE s.seconds IS DISTINCT FROM t.seconds OR s.amount * 3600 IS DISTINCT FROM t.seconds * t.hour_price)
    -- What it cost was not posted, or something was that it is not of.
    + (SELECT count(*) FROM (SELECT * FROM entry WHERE cost > 0) e FULL JOIN (
        SELECT x.id, x.amount FROM billing.transfers x WHERE x.tenant_id = p_tenant AND x.kind = 'instance_time') x
        ON x.id = e.transfer_id
      WHERE x.amount IS DISTINCT FROM e.cost)
$$;

---------------------------------------------------------------------------------------------------------------------
-- What is wrong with a document. Instance time is owed since it passed, as usage is: the charges that are booked with an invoice are
-- the others.

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
    FROM billing.invoice_charges g
    WHERE g.tenant_id = p_tenant AND g.invoice_id = p_id AND g.source <> 'instance_time'),
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
