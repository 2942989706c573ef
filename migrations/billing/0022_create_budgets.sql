-- Budgets: how much may be used for a part of what a tenant runs, within a period. What was used is kept by the trigger on
-- usage_records, in the transaction that settles; a tenant without budgets pays one look at an index for each statement.
--
-- A hard budget is divided among gateways like a tenant's money (migration 0010): a slice belongs to a lease, and what is granted in all
-- slices and what was used never pass its amount together. Slices are no money: what a lease has is held in the ledger.

ALTER TABLE billing.billing_accounts ADD COLUMN budgets_version bigint NOT NULL DEFAULT 0;  -- moved by the trigger on budgets alone

CREATE TABLE billing.budgets (
  tenant_id    uuid NOT NULL REFERENCES billing.billing_accounts (tenant_id),
  id           text COLLATE "C" NOT NULL,
  uid          uuid NOT NULL,
  display_name text NOT NULL,
  project      text NOT NULL,  -- its id, and the names of the others; '': any
  api_key      text NOT NULL,
  instance     text NOT NULL,
  period       text NOT NULL CHECK (period IN ('month', 'range', 'total')),
  start_time   timestamptz NOT NULL,  -- of a range
  end_time     timestamptz NOT NULL,
  amount       numeric(38,0) NOT NULL CHECK (amount >= 0),
  hard         boolean NOT NULL,
  thresholds   integer[] NOT NULL,
  version      bigint NOT NULL,
  -- What its slices are of. Another each time that it becomes hard again: a gateway that has not heard yet that it was soft meanwhile, when
  -- all slices went, then has slices of something that is not there any more.
  slices_uid   uuid NOT NULL,
  create_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
  update_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, uid),
  UNIQUE (tenant_id, slices_uid),
  CHECK (period <> 'range' OR start_time < end_time)
);

CREATE TABLE billing.budget_periods (
  tenant_id  uuid NOT NULL,
  uid        uuid NOT NULL,
  start_time timestamptz NOT NULL,  -- of the month, of the range, 'epoch' of a total
  spent      numeric(38,0) NOT NULL DEFAULT 0 CHECK (spent >= 0),
  PRIMARY KEY (tenant_id, uid, start_time),
  FOREIGN KEY (tenant_id, uid) REFERENCES billing.budgets (tenant_id, uid) ON DELETE CASCADE
) WITH (fillfactor = 50);

-- Thresholds that were reached, each once in each period.
CREATE TABLE billing.budget_alerts (
  tenant_id   uuid NOT NULL,
  uid         uuid NOT NULL,
  start_time  timestamptz NOT NULL,
  percent     integer NOT NULL,
  spent       numeric(38,0) NOT NULL,  -- then
  amount      numeric(38,0) NOT NULL,
  create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, uid, start_time, percent),
  FOREIGN KEY (tenant_id, uid) REFERENCES billing.budgets (tenant_id, uid) ON DELETE CASCADE
);

CREATE TABLE billing.budget_slices (
  tenant_id  uuid NOT NULL,
  uid        uuid NOT NULL,                              -- the budget's slices_uid
  start_time timestamptz NOT NULL,
  lease_id   uuid NOT NULL,
  remaining  numeric(38,0) NOT NULL CHECK (remaining >= 0),
  epoch      bigint NOT NULL,                            -- of the lease, when it was changed last
  added      numeric(38,0) NOT NULL CHECK (added >= 0),  -- then
  recalled   boolean NOT NULL DEFAULT false,             -- the next answer of its lease says so
  PRIMARY KEY (tenant_id, uid, start_time, lease_id),
  FOREIGN KEY (tenant_id, uid) REFERENCES billing.budgets (tenant_id, slices_uid) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id, lease_id) REFERENCES billing.leases (tenant_id, id)
) WITH (fillfactor = 50);
CREATE INDEX budget_slices_of_lease ON billing.budget_slices (tenant_id, lease_id);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['budgets', 'budget_periods', 'budget_alerts', 'budget_slices'] LOOP
    EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE billing.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant_rows ON billing.%I
                      USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
                      WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)$p$, t);
  END LOOP;
END $$;
REVOKE UPDATE, TRUNCATE ON billing.budgets FROM allod_billing;
GRANT UPDATE (display_name, amount, hard, thresholds, version, slices_uid, update_time) ON billing.budgets TO allod_billing;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.budget_periods, billing.budget_alerts FROM allod_billing;
REVOKE TRUNCATE ON billing.budget_slices FROM allod_billing;

-- Gateways ask which budgets there are when this is another number than they know.
CREATE FUNCTION billing.count_budget_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE billing.billing_accounts a SET budgets_version = a.budgets_version + 1
    WHERE a.tenant_id = CASE TG_OP WHEN 'DELETE' THEN OLD.tenant_id ELSE NEW.tenant_id END;
  RETURN NULL;
END $$;
CREATE TRIGGER count_budget_change AFTER INSERT OR UPDATE OR DELETE ON billing.budgets
  FOR EACH ROW EXECUTE FUNCTION billing.count_budget_change();

-- When the period begins in which a request counts that was admitted then; NULL: it counts in none.
CREATE FUNCTION billing.budget_start(b billing.budgets, admitted timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
  SELECT CASE b.period
    WHEN 'month' THEN date_trunc('month', admitted AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
    WHEN 'total' THEN 'epoch'::timestamptz
    WHEN 'range' THEN CASE WHEN admitted >= b.start_time AND admitted < b.end_time THEN b.start_time END END
$$;

-- Writes down which thresholds were reached of these periods of budgets and were not before, and tells of the highest of each: so that
-- what one settlement costs does not grow with what a tenant sets up, nor with how long a budget has been there.
CREATE FUNCTION billing.alert_budgets(p_tenant uuid, p_uids uuid[], p_starts timestamptz[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE reached record;
BEGIN
  FOR reached IN
    WITH made AS (
      INSERT INTO billing.budget_alerts (tenant_id, uid, start_time, percent, spent, amount)
        SELECT p.tenant_id, p.uid, p.start_time, t.percent, p.spent, b.amount
        FROM unnest(p_uids, p_starts) AS w (uid, start_time)
        JOIN billing.budgets b ON b.tenant_id = p_tenant AND b.uid = w.uid
        JOIN billing.budget_periods p ON p.tenant_id = b.tenant_id AND p.uid = b.uid AND p.start_time = w.start_time
        CROSS JOIN LATERAL unnest(b.thresholds) AS t (percent)
        WHERE p.spent > 0 AND p.spent * 100 >= b.amount * t.percent
          AND NOT EXISTS (SELECT FROM billing.budget_alerts x WHERE x.tenant_id = p.tenant_id AND x.uid = p.uid
            AND x.start_time = p.start_time AND x.percent = t.percent)
        ORDER BY p.uid, p.start_time, t.percent
      ON CONFLICT DO NOTHING RETURNING uid, start_time, percent, spent, amount)
    SELECT DISTINCT ON (b.id, m.start_time) m.*, b.id, b.period, b.hard, a.tenant_name, a.currency_code
    FROM made m JOIN billing.budgets b ON b.tenant_id = p_tenant AND b.uid = m.uid
    JOIN billing.billing_accounts a ON a.tenant_id = p_tenant ORDER BY b.id, m.start_time, m.percent DESC
  LOOP
    PERFORM billing.add_event(p_tenant, 'budget.threshold', jsonb_build_object(
      'name', reached.tenant_name || '/budgets/' || reached.id, 'percent', reached.percent, 'hard', reached.hard,
      'spent', billing.to_decimal(reached.spent), 'amount', billing.to_decimal(reached.amount),
      'currencyCode', reached.currency_code, 'period', reached.period,
      'startTime', billing.to_rfc3339(reached.start_time)));
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION billing.alert_budgets(uuid, uuid[], timestamptz[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.alert_budgets(uuid, uuid[], timestamptz[]) TO allod_billing;

CREATE FUNCTION billing.count_in_budgets() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  of_tenant uuid;
  counted uuid[];
  starts timestamptz[];
BEGIN
  FOR of_tenant IN SELECT DISTINCT n.tenant_id FROM added n LOOP
    CONTINUE WHEN NOT EXISTS (SELECT FROM billing.budgets b WHERE b.tenant_id = of_tenant);
    WITH used AS (
      INSERT INTO billing.budget_periods AS p (tenant_id, uid, start_time, spent)
        SELECT b.tenant_id, b.uid, billing.budget_start(b, n.admit_time), sum(n.cost)
        FROM billing.budgets b JOIN added n ON n.tenant_id = b.tenant_id AND n.cost > 0
          AND b.project IN ('', n.project) AND b.api_key IN ('', n.api_key) AND b.instance IN ('', n.instance)
        WHERE b.tenant_id = of_tenant AND billing.budget_start(b, n.admit_time) IS NOT NULL
        GROUP BY 1, 2, 3
        ON CONFLICT (tenant_id, uid, start_time) DO UPDATE SET spent = p.spent + EXCLUDED.spent
        RETURNING p.uid, p.start_time)
    SELECT array_agg(u.uid), array_agg(u.start_time) INTO counted, starts FROM used u;
    IF counted IS NOT NULL THEN PERFORM billing.alert_budgets(of_tenant, counted, starts); END IF;
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER count_in_budgets AFTER INSERT ON billing.usage_records
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.count_in_budgets();

-- Of a tenant, what is kept wrong: slices of leases that have ended; and of monthly budgets, this month and the last, what was used by
-- more than all requests that count, or by less than those that were settled well after the budget had been made. None. (What is used
-- beyond an amount is none: it was lowered, or the budget made, after requests had begun.)
CREATE FUNCTION billing.budget_faults(p_tenant uuid) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT (SELECT count(*) FROM billing.budget_slices s
      LEFT JOIN billing.leases l ON l.tenant_id = s.tenant_id AND l.id = s.lease_id
      WHERE s.tenant_id = p_tenant AND (l.id IS NULL OR l.end_time IS NOT NULL))
    + (SELECT count(*) FROM billing.budgets b
      CROSS JOIN LATERAL (SELECT date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') - m.back * interval '1 month' AS month
        FROM generate_series(0, 1) AS m (back)) AS c
      LEFT JOIN billing.budget_periods p
        ON p.tenant_id = b.tenant_id AND p.uid = b.uid AND p.start_time = c.month AT TIME ZONE 'UTC'
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(u.cost), 0) AS most,
          coalesce(sum(u.cost) FILTER (WHERE u.settle_time > b.create_time + interval '15 minutes'), 0) AS least
        FROM billing.usage_records u
        WHERE u.tenant_id = b.tenant_id AND u.admit_time >= c.month AT TIME ZONE 'UTC'
          AND u.admit_time < (c.month + interval '1 month') AT TIME ZONE 'UTC' AND b.project IN ('', u.project)
          AND b.api_key IN ('', u.api_key) AND b.instance IN ('', u.instance)) AS u
      WHERE b.tenant_id = p_tenant AND b.period = 'month' AND coalesce(p.spent, 0) NOT BETWEEN u.least AND u.most)
$$;
