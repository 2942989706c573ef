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

-- Added to the kinds that there are.
DO $$
DECLARE
  kinds text := (SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c
                 WHERE c.conrelid = 'billing.transfers'::regclass AND c.conname = 'transfers_kind_check');
  more  text := replace(kinds, $k$ARRAY['pending'::text$k$, $k$ARRAY['instance_time'::text, 'pending'::text$k$);
BEGIN
  IF more = kinds THEN RAISE EXCEPTION 'transfers_kind_check is %', kinds; END IF;
  EXECUTE 'ALTER TABLE billing.transfers DROP CONSTRAINT transfers_kind_check, ADD CONSTRAINT transfers_kind_check ' || more;
END $$;
ALTER TABLE billing.transfers ADD CONSTRAINT accounts_of_instance_time CHECK (
  kind <> 'instance_time' OR (debit = 'receivable' AND credit = 'usage-revenue' AND amount > 0));

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

DO $$
DECLARE
  body text := pg_get_functiondef('billing.invoice_fault(uuid, text)'::regprocedure);
  less text := regexp_replace(body,
    '(FROM billing\.invoice_charges g\s+WHERE g\.tenant_id = p_tenant AND g\.invoice_id = p_id)\),(\s+taxed AS)',
    $r$\1 AND g.source <> 'instance_time'),\2$r$);
BEGIN
  IF less = body THEN RAISE EXCEPTION 'invoice_fault is %', body; END IF;
  EXECUTE less;
END $$;
