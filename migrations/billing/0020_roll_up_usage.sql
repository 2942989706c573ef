-- What usage adds up to, by hour and by day of admission in UTC, so that a report over years reads as many rows as it has periods and
-- dimensions, however many requests there were. Filled in batches from the outbox: its cursor and the sums move in one transaction, so
-- that a request counts once. What is beyond the cursor, a report adds from the records.
--
-- Installations with records: they are added up here, with nobody writing any: some ten seconds for a million, and a few minutes for 50
-- million, because hours and dimensions have an end.

-- What a request is counted under. Never deleted; the same for ever.
CREATE TABLE billing.usage_dimensions (
  tenant_id       uuid NOT NULL REFERENCES billing.billing_accounts (tenant_id),
  id              bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  instance        text NOT NULL,
  variant         text NOT NULL,
  isolation_class text NOT NULL,
  api_key         text NOT NULL,
  price_book_id   uuid NOT NULL,
  currency_code   text NOT NULL,
  project         text NOT NULL GENERATED ALWAYS AS (split_part(instance, '/', 4)) STORED,
  model           text NOT NULL GENERATED ALWAYS AS
    (CASE WHEN variant LIKE 'models/%' THEN 'models/' || split_part(variant, '/', 2) ELSE '' END) STORED,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, instance, variant, isolation_class, api_key, price_book_id, currency_code)
);

CREATE TABLE billing.usage_rollups (
  tenant_id                uuid NOT NULL,
  grain                    text COLLATE "C" NOT NULL CHECK (grain IN ('day', 'hour')),
  period                   timestamptz NOT NULL,  -- its beginning
  dimension_id             bigint NOT NULL,
  request_count            bigint NOT NULL CHECK (request_count > 0),
  billed_request_count     bigint NOT NULL CHECK (billed_request_count BETWEEN 0 AND request_count),
  prompt_tokens            bigint NOT NULL,  -- delivered
  completion_tokens        bigint NOT NULL,
  billed_prompt_tokens     bigint NOT NULL CHECK (billed_prompt_tokens BETWEEN 0 AND prompt_tokens),
  billed_completion_tokens bigint NOT NULL CHECK (billed_completion_tokens BETWEEN 0 AND completion_tokens),
  amount                   numeric(38,0) NOT NULL CHECK (amount >= 0),
  -- That the dimension is there is not asked for each row: the function that makes rows takes it from there.
  PRIMARY KEY (tenant_id, grain, period, dimension_id)
) WITH (fillfactor = 80);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['usage_dimensions', 'usage_rollups'] LOOP
    EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant_rows ON billing.%I
                      USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
                      WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)$p$, t);
    -- Moved by the functions below alone.
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.%I FROM allod_billing', t);
  END LOOP;
END $$;

-- The records that roll-ups do not have yet.
CREATE FUNCTION billing.usage_beyond_rollups(p_tenant uuid) RETURNS SETOF billing.usage_records
LANGUAGE plpgsql STABLE AS $$
DECLARE ids uuid[];
BEGIN
  SELECT array_agg(i.id) INTO ids FROM billing.outbox o, unnest(o.request_ids) AS i (id)
  WHERE o.tenant_id = p_tenant AND o.request_ids IS NOT NULL AND o.sequence > coalesce(
    (SELECT c.sequence FROM billing.outbox_cursors c WHERE c.tenant_id = p_tenant AND c.consumer = 'usage_rollups'), 0);
  IF ids IS NULL THEN RETURN; END IF;
  RETURN QUERY SELECT u.* FROM unnest(ids) AS i (id), LATERAL (
    SELECT * FROM billing.usage_records r WHERE r.tenant_id = p_tenant AND r.request_id = i.id OFFSET 0) AS u;
END $$;

-- Adds records to the roll-ups: those of `p_ids`, or all if it is NULL. Answers with how many there are, and with the newest event of
-- the tenant as the same snapshot has it, so that of all records it is known up to where.
CREATE FUNCTION billing.add_to_rollups(p_tenant uuid, p_ids uuid[], OUT records bigint, OUT last bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format($q$
    WITH hour AS MATERIALIZED (
      SELECT u.instance, u.variant, u.isolation_class, u.api_key, u.price_book_id, u.currency_code,
        date_trunc('hour', u.admit_time AT TIME ZONE 'UTC') AS period, count(*) AS requests,
        count(*) FILTER (WHERE u.billed) AS billed_requests, sum(u.prompt_tokens) AS prompt, sum(u.completion_tokens) AS completion,
        sum(u.prompt_tokens - u.excess_prompt_tokens) FILTER (WHERE u.billed) AS billed_prompt,
        sum(u.completion_tokens - u.excess_completion_tokens) FILTER (WHERE u.billed) AS billed_completion, sum(u.cost) AS amount
      FROM %s GROUP BY 1, 2, 3, 4, 5, 6, 7),
    made AS (
      INSERT INTO billing.usage_dimensions (tenant_id, instance, variant, isolation_class, api_key, price_book_id, currency_code)
      SELECT DISTINCT $1, h.instance, h.variant, h.isolation_class, h.api_key, h.price_book_id, h.currency_code FROM hour h
      ON CONFLICT DO NOTHING RETURNING *),
    dimension AS (SELECT * FROM made UNION ALL SELECT * FROM billing.usage_dimensions d WHERE d.tenant_id = $1),
    added AS (
      INSERT INTO billing.usage_rollups AS r (tenant_id, grain, period, dimension_id, request_count, billed_request_count,
        prompt_tokens, completion_tokens, billed_prompt_tokens, billed_completion_tokens, amount)
      SELECT $1, g.grain, date_trunc(g.grain, h.period) AT TIME ZONE 'UTC', d.id, sum(h.requests), sum(h.billed_requests),
        sum(h.prompt), sum(h.completion), coalesce(sum(h.billed_prompt), 0), coalesce(sum(h.billed_completion), 0), sum(h.amount)
      FROM hour h JOIN dimension d USING (instance, variant, isolation_class, api_key, price_book_id, currency_code)
      CROSS JOIN (VALUES ('day'), ('hour')) AS g (grain)
      GROUP BY 2, 3, 4
      ON CONFLICT (tenant_id, grain, period, dimension_id) DO UPDATE SET
        request_count = r.request_count + EXCLUDED.request_count,
        billed_request_count = r.billed_request_count + EXCLUDED.billed_request_count,
        prompt_tokens = r.prompt_tokens + EXCLUDED.prompt_tokens,
        completion_tokens = r.completion_tokens + EXCLUDED.completion_tokens,
        billed_prompt_tokens = r.billed_prompt_tokens + EXCLUDED.billed_prompt_tokens,
        billed_completion_tokens = r.billed_completion_tokens + EXCLUDED.billed_completion_tokens,
        amount = r.amount + EXCLUDED.amount
      RETURNING 1)
    SELECT (SELECT coalesce(sum(h.requests), 0) FROM hour h), (SELECT h.last FROM billing.outbox_heads h WHERE h.tenant_id = $1)$q$,
    CASE WHEN p_ids IS NULL THEN 'billing.usage_records u WHERE u.tenant_id = $1'
    ELSE 'unnest($2) AS i (id), LATERAL (SELECT * FROM billing.usage_records r WHERE r.tenant_id = $1 AND r.request_id = i.id '
      'AND r.request_id BETWEEN $3 AND $4 OFFSET 0) AS u' END)
    INTO records, last USING p_tenant, p_ids, (SELECT i FROM unnest(p_ids) i ORDER BY 1 LIMIT 1),
      (SELECT i FROM unnest(p_ids) i ORDER BY 1 DESC LIMIT 1);
END $$;
REVOKE ALL ON FUNCTION billing.add_to_rollups(uuid, uuid[]) FROM PUBLIC;

-- One at a time for each tenant.
CREATE FUNCTION billing.lock_rollups(p_tenant uuid) RETURNS void
LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(hashtextextended('billing.usage_rollups ' || p_tenant::text, 0)) $$;
REVOKE ALL ON FUNCTION billing.lock_rollups(uuid) FROM PUBLIC;

-- Adds what at most `p_limit` events tell of; answers with how many events that were.
CREATE FUNCTION billing.roll_up_usage(p_tenant uuid, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since  bigint;
  upto   bigint;
  events integer;
  ids    uuid[];
BEGIN
  PERFORM billing.require_tenant(p_tenant);
  PERFORM billing.lock_rollups(p_tenant);
  since := coalesce((SELECT c.sequence FROM billing.outbox_cursors c
    WHERE c.tenant_id = p_tenant AND c.consumer = 'usage_rollups'), 0);
  SELECT count(DISTINCT e.sequence), max(e.sequence), array_agg(i.id) FILTER (WHERE i.id IS NOT NULL) INTO events, upto, ids
  FROM (SELECT o.sequence, o.request_ids FROM billing.outbox o
        WHERE o.tenant_id = p_tenant AND o.sequence > since ORDER BY o.sequence LIMIT p_limit) AS e
  LEFT JOIN LATERAL unnest(e.request_ids) AS i (id) ON true;
  IF events = 0 THEN RETURN 0; END IF;
  IF ids IS NOT NULL THEN PERFORM billing.add_to_rollups(p_tenant, ids); END IF;
  PERFORM billing.advance_cursor(p_tenant, 'usage_rollups', upto);
  RETURN events;
END $$;
REVOKE ALL ON FUNCTION billing.roll_up_usage(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.roll_up_usage(uuid, integer) TO allod_billing;

-- All of a tenant's anew, from its records; answers with their number. Settlements go on meanwhile: what they add is of after the
-- snapshot, and beyond the cursor.
CREATE FUNCTION billing.rebuild_rollups(p_tenant uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE made record;
BEGIN
  PERFORM billing.require_tenant(p_tenant);
  PERFORM billing.lock_rollups(p_tenant);
  DELETE FROM billing.usage_rollups r WHERE r.tenant_id = p_tenant;
  SELECT * INTO made FROM billing.add_to_rollups(p_tenant, NULL);
  IF made.last > 0 THEN PERFORM billing.advance_cursor(p_tenant, 'usage_rollups', made.last); END IF;
  RETURN made.records;
END $$;
REVOKE ALL ON FUNCTION billing.rebuild_rollups(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.rebuild_rollups(uuid) TO allod_billing;

-- How many lines of months the roll-ups, with what is beyond them, have other sums of than usage_totals; how many days they have other
-- sums of than of their hours; and whether they have another number of requests than there are records. 0.
CREATE FUNCTION billing.count_rollup_faults(p_tenant uuid) RETURNS bigint
LANGUAGE sql STABLE AS $$
  WITH beyond AS MATERIALIZED (SELECT * FROM billing.usage_beyond_rollups(p_tenant)),
  rolled AS (
    SELECT r.*, d.instance, d.variant, d.price_book_id, d.isolation_class
    FROM billing.usage_rollups r JOIN billing.usage_dimensions d ON d.tenant_id = r.tenant_id AND d.id = r.dimension_id
    WHERE r.tenant_id = p_tenant),
  line AS (
    SELECT date_trunc('month', s.period AT TIME ZONE 'UTC')::date AS month, s.instance, s.variant, s.price_book_id, s.isolation_class,
      sum(s.requests) AS requests, sum(s.prompt) AS prompt, sum(s.completion) AS completion, sum(s.amount) AS amount
    FROM (
      SELECT period, instance, variant, price_book_id, isolation_class, billed_request_count AS requests,
        billed_prompt_tokens AS prompt, billed_completion_tokens AS completion, amount FROM rolled WHERE grain = 'day'
      UNION ALL
      SELECT admit_time, instance, variant, price_book_id, isolation_class, 1, prompt_tokens - excess_prompt_tokens,
        completion_tokens - excess_completion_tokens, cost FROM beyond WHERE billed) AS s
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(s.requests) > 0),
  day AS (
    SELECT date_trunc('day', period AT TIME ZONE 'UTC') AS day, dimension_id, grain, sum(request_count) AS requests,
      sum(billed_request_count) AS billed_requests, sum(prompt_tokens) AS prompt, sum(completion_tokens) AS completion,
      sum(billed_prompt_tokens) AS billed_prompt, sum(billed_completion_tokens) AS billed_completion, sum(amount) AS amount
    FROM rolled GROUP BY 1, 2, 3)
  SELECT (
      SELECT count(*) FROM line l FULL JOIN (SELECT * FROM billing.usage_totals t WHERE t.tenant_id = p_tenant) t
        USING (month, instance, variant, price_book_id, isolation_class)
      WHERE (l.requests, l.prompt, l.completion, l.amount)
        IS DISTINCT FROM (t.request_count::numeric, t.prompt_tokens::numeric, t.completion_tokens::numeric, t.amount))
    + (SELECT count(*) FROM (SELECT * FROM day WHERE grain = 'day') a FULL JOIN (SELECT * FROM day WHERE grain = 'hour') b
        USING (day, dimension_id, requests, billed_requests, prompt, completion, billed_prompt, billed_completion, amount)
       WHERE a.grain IS NULL OR b.grain IS NULL)
    + (SELECT (coalesce(sum(r.requests) FILTER (WHERE r.grain = 'day'), 0) + (SELECT count(*) FROM beyond)
        <> (SELECT count(*) FROM billing.usage_records u WHERE u.tenant_id = p_tenant))::int FROM day r)
$$;

---------------------------------------------------------------------------------------------------------------------
-- Nobody writes records until it is known from where on the outbox tells of them.
LOCK TABLE billing.usage_records IN SHARE MODE;
SELECT billing.add_consumer('usage_rollups');
DO $$
DECLARE
  tenant uuid;
  before text := coalesce(current_setting('allod.tenant', true), '');
BEGIN
  FOR tenant IN SELECT k.tenant_id FROM billing.known_tenants k ORDER BY 1 LOOP
    PERFORM set_config('allod.tenant', tenant::text, true);
    PERFORM billing.rebuild_rollups(tenant);
  END LOOP;
  PERFORM set_config('allod.tenant', before, true);
END $$;
