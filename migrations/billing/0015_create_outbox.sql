-- The outbox: what happened to a tenant, in order, written in the transaction in which it happened, for whoever follows: roll-ups
-- of usage, and whatever events are relayed to. A settlement writes one row for its whole batch; who reads it joins usage_records by
-- the request ids.
--
-- A consumer has a cursor for each tenant: the last sequence that it is done with. Consumers of all tenants are rows of
-- outbox_consumers, and one without a cursor for a tenant has everything before it; a tenant's own (its event sinks) have a cursor
-- from when they are made, at the end. A row that all cursors are beyond is trimmed.
--
-- In PostgreSQL's words, for other parts of billing:
--   billing.add_event(tenant, kind, payload)          in the transaction of what it tells of; takes the lock on the account
--   billing.outbox_behind(consumer, after, limit)     which tenants have something for a consumer of all
--   SELECT ... FROM billing.outbox WHERE tenant_id = $1 AND sequence > cursor ORDER BY sequence LIMIT n
--   billing.advance_cursor(tenant, consumer, sequence)  in the transaction of the work, as its last statement

CREATE TABLE billing.outbox_heads (
  tenant_id uuid PRIMARY KEY REFERENCES billing.billing_accounts (tenant_id),
  last      bigint NOT NULL CHECK (last >= 0),            -- the sequence of the newest event; without gaps
  trimmed   bigint NOT NULL DEFAULT 0 CHECK (trimmed BETWEEN 0 AND last),  -- up to it rows are gone
  -- Change with the first event and when all is relayed or trimmed, so that their indices cost the events between nothing.
  pending   boolean NOT NULL CHECK (NOT pending OR last > 0),  -- a consumer may be behind
  has_rows  boolean NOT NULL CHECK (has_rows = (last > trimmed))
) WITH (fillfactor = 50);
CREATE INDEX outbox_heads_pending ON billing.outbox_heads (tenant_id) WHERE pending;
CREATE INDEX outbox_heads_with_rows ON billing.outbox_heads (tenant_id) WHERE has_rows;

CREATE TABLE billing.outbox (
  tenant_id   uuid NOT NULL REFERENCES billing.outbox_heads (tenant_id),
  sequence    bigint NOT NULL CHECK (sequence > 0),
  kind        text NOT NULL CHECK (kind ~ '^[a-z][a-z_]*(\.[a-z][a-z_]*)+$' AND length(kind) <= 64),
  payload     jsonb NOT NULL,
  request_ids uuid[],  -- of usage.recorded
  create_time timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, sequence),
  CHECK ((kind = 'usage.recorded') = (request_ids IS NOT NULL)),
  CHECK (pg_column_size(payload) <= 8192)
);
-- Ids do not get smaller by trying.
ALTER TABLE billing.outbox ALTER COLUMN request_ids SET STORAGE EXTERNAL;

CREATE TABLE billing.outbox_consumers (
  name        text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
  create_time timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE billing.outbox_cursors (
  tenant_id uuid NOT NULL REFERENCES billing.outbox_heads (tenant_id),
  consumer  text NOT NULL CHECK (consumer ~ '^([a-z][a-z0-9_]{0,62}|sinks/[a-z][a-z0-9-]{0,62})$'),
  sequence  bigint NOT NULL CHECK (sequence >= 0),
  PRIMARY KEY (tenant_id, consumer)
) WITH (fillfactor = 50);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['outbox_heads', 'outbox', 'outbox_cursors'] LOOP
    EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE billing.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant_rows ON billing.%I
                      USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
                      WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)$p$, t);
  END LOOP;
  -- Moved by the functions below alone.
  FOREACH t IN ARRAY ARRAY['outbox_heads', 'outbox', 'outbox_cursors', 'outbox_consumers'] LOOP
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.%I FROM allod_billing', t);
  END LOOP;
END $$;
CREATE POLICY owner_finds_events ON billing.outbox_heads FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_finds_events ON billing.outbox_cursors FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_wakes_consumers ON billing.outbox_heads FOR UPDATE TO CURRENT_USER USING (true) WITH CHECK (true);
-- What is written stays as it is until it is trimmed.
CREATE TRIGGER refuse_change BEFORE UPDATE OR TRUNCATE ON billing.outbox
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

---------------------------------------------------------------------------------------------------------------------
-- Writing. The functions run as the owner, who may be one that no policy holds: so each compares the tenant itself.

CREATE FUNCTION billing.require_tenant(p_tenant uuid) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF p_tenant IS DISTINCT FROM NULLIF(current_setting('allod.tenant', true), '')::uuid THEN
    RAISE EXCEPTION 'events of another tenant' USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;

-- The row of the tenant is locked from here to the commit: sequences are in the order of commits, and what rolls back leaves no gap.
CREATE FUNCTION billing.append_event(p_tenant uuid, p_kind text, p_payload jsonb, p_requests uuid[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE added bigint;
BEGIN
  INSERT INTO billing.outbox_heads AS h (tenant_id, last, pending, has_rows) VALUES (p_tenant, 1, true, true)
    ON CONFLICT (tenant_id) DO UPDATE SET last = h.last + 1, pending = true, has_rows = true RETURNING h.last INTO added;
  INSERT INTO billing.outbox (tenant_id, sequence, kind, payload, request_ids, create_time)
    VALUES (p_tenant, added, p_kind, p_payload, p_requests, clock_timestamp());
  RETURN added;
END $$;
REVOKE ALL ON FUNCTION billing.append_event(uuid, text, jsonb, uuid[]) FROM PUBLIC;

-- `p_kind`: what and what happened, "budget.threshold"; `p_payload`: the event's data, an object, amounts as decimal strings; no prompt
-- and no answer. Answers with the sequence. Takes the lock on the tenant's account first, like all that moves its money.
CREATE FUNCTION billing.add_event(p_tenant uuid, p_kind text, p_payload jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM billing.require_tenant(p_tenant);
  IF p_kind LIKE 'usage.%' OR jsonb_typeof(p_payload) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'an event of kind % with %', p_kind, jsonb_typeof(p_payload) USING ERRCODE = 'check_violation';
  END IF;
  PERFORM FROM billing.billing_accounts a WHERE a.tenant_id = p_tenant FOR NO KEY UPDATE;
  RETURN billing.append_event(p_tenant, p_kind, p_payload, NULL);
END $$;
REVOKE ALL ON FUNCTION billing.add_event(uuid, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.add_event(uuid, text, jsonb) TO allod_billing;

-- One row for each tenant and statement.
CREATE FUNCTION billing.add_usage_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM billing.append_event(g.tenant_id, 'usage.recorded', '{}', g.ids)
  FROM (SELECT n.tenant_id, array_agg(n.request_id) AS ids FROM added n GROUP BY n.tenant_id) AS g;
  RETURN NULL;
END $$;
CREATE TRIGGER add_usage_events AFTER INSERT ON billing.usage_records
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.add_usage_events();

-- An integer of 10^-12 as people write it.
CREATE FUNCTION billing.to_decimal(pico numeric) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT trim_scale(pico * 0.000000000001)::text $$;
-- A time as the API has it, to the second.
CREATE FUNCTION billing.to_rfc3339(t timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$ SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') $$;

CREATE FUNCTION billing.add_invoice_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM billing.append_event(NEW.tenant_id, NEW.kind || '.issued', jsonb_build_object(
    'id', NEW.id, 'number', NEW.number, 'currencyCode', NEW.currency_code, 'net', billing.to_decimal(NEW.net),
    'tax', billing.to_decimal(NEW.tax), 'payable', billing.to_decimal(NEW.payable),
    'issueTime', billing.to_rfc3339(NEW.issue_time),
    'dueTime', billing.to_rfc3339(NEW.due_time),
    'correctedId', coalesce(NEW.corrected_id, '')), NULL);
  RETURN NULL;
END $$;
CREATE TRIGGER add_invoice_event AFTER INSERT ON billing.invoices
  FOR EACH ROW EXECUTE FUNCTION billing.add_invoice_event();

---------------------------------------------------------------------------------------------------------------------
-- Reading.

-- The least cursor of a tenant's consumers: rows up to it nobody needs. NULL: there is no consumer.
CREATE FUNCTION billing.least_cursor(p_tenant uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT min(s.sequence) FROM (
    SELECT coalesce(c.sequence, 0) AS sequence FROM billing.outbox_consumers o
      LEFT JOIN billing.outbox_cursors c ON c.tenant_id = p_tenant AND c.consumer = o.name
    UNION ALL
    SELECT c.sequence FROM billing.outbox_cursors c WHERE c.tenant_id = p_tenant AND c.consumer LIKE 'sinks/%') AS s
$$;
REVOKE ALL ON FUNCTION billing.least_cursor(uuid) FROM PUBLIC;

-- A consumer of all tenants. It is given everything whose rows are there.
CREATE FUNCTION billing.add_consumer(p_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO billing.outbox_consumers (name) VALUES (p_name) ON CONFLICT DO NOTHING;
  IF FOUND THEN UPDATE billing.outbox_heads h SET pending = true WHERE h.has_rows AND NOT h.pending; END IF;
END $$;
CREATE FUNCTION billing.remove_consumer(p_name text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM billing.outbox_consumers o WHERE o.name = p_name
$$;

-- A consumer of one tenant: what happens from now on.
CREATE FUNCTION billing.open_cursor(p_tenant uuid, p_consumer text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE head billing.outbox_heads;
BEGIN
  PERFORM billing.require_tenant(p_tenant);
  INSERT INTO billing.outbox_heads (tenant_id, last, pending, has_rows) VALUES (p_tenant, 0, false, false) ON CONFLICT DO NOTHING;
  SELECT * INTO STRICT head FROM billing.outbox_heads h WHERE h.tenant_id = p_tenant FOR NO KEY UPDATE;
  INSERT INTO billing.outbox_cursors (tenant_id, consumer, sequence) VALUES (p_tenant, p_consumer, head.last);
  RETURN head.last;
END $$;
CREATE FUNCTION billing.close_cursor(p_tenant uuid, p_consumer text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM billing.require_tenant(p_tenant);
  DELETE FROM billing.outbox_cursors c WHERE c.tenant_id = p_tenant AND c.consumer = p_consumer;
END $$;

-- Done up to there. A cursor never goes back by it. False: the consumer has no cursor any more.
CREATE FUNCTION billing.advance_cursor(p_tenant uuid, p_consumer text, p_sequence bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE head billing.outbox_heads;
BEGIN
  PERFORM billing.require_tenant(p_tenant);
  -- Of two that finish at once the second sees the first one's cursor.
  SELECT * INTO head FROM billing.outbox_heads h WHERE h.tenant_id = p_tenant FOR NO KEY UPDATE;
  IF head.last IS NULL OR p_sequence > head.last THEN
    RAISE EXCEPTION 'cursor % beyond the newest event, %', p_sequence, head.last USING ERRCODE = 'check_violation';
  END IF;
  UPDATE billing.outbox_cursors c SET sequence = greatest(c.sequence, p_sequence)
    WHERE c.tenant_id = p_tenant AND c.consumer = p_consumer;
  IF NOT FOUND THEN
    IF NOT EXISTS (SELECT FROM billing.outbox_consumers o WHERE o.name = p_consumer) THEN RETURN false; END IF;
    INSERT INTO billing.outbox_cursors (tenant_id, consumer, sequence) VALUES (p_tenant, p_consumer, p_sequence);
  END IF;
  IF head.pending AND billing.least_cursor(p_tenant) >= head.last THEN
    UPDATE billing.outbox_heads h SET pending = false WHERE h.tenant_id = p_tenant;
  END IF;
  RETURN true;
END $$;

-- Everything from `p_sequence` on again, as far as rows are there. Answers with the first that is; NULL: it has no cursor.
CREATE FUNCTION billing.rewind_cursor(p_tenant uuid, p_consumer text, p_sequence bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE head billing.outbox_heads; first bigint;
BEGIN
  PERFORM billing.require_tenant(p_tenant);
  SELECT * INTO head FROM billing.outbox_heads h WHERE h.tenant_id = p_tenant FOR NO KEY UPDATE;
  first := greatest(head.trimmed + 1, p_sequence);
  UPDATE billing.outbox_cursors c SET sequence = least(c.sequence, first - 1)
    WHERE c.tenant_id = p_tenant AND c.consumer = p_consumer;
  IF NOT FOUND THEN RETURN NULL; END IF;
  UPDATE billing.outbox_heads h SET pending = true WHERE h.tenant_id = p_tenant AND h.has_rows AND NOT h.pending;
  RETURN first;
END $$;

-- Which tenants have something that a consumer of all has not done, over one index. The app role learns tenants and sequences.
CREATE FUNCTION billing.outbox_behind(p_consumer text, p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, cursor bigint, last bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT h.tenant_id, coalesce(c.sequence, 0), h.last
  FROM billing.outbox_heads h
  LEFT JOIN billing.outbox_cursors c ON c.tenant_id = h.tenant_id AND c.consumer = p_consumer
  WHERE h.pending AND h.tenant_id > p_after AND h.last > coalesce(c.sequence, 0)
  ORDER BY h.tenant_id LIMIT p_limit
$$;

---------------------------------------------------------------------------------------------------------------------
-- Trimming.

CREATE FUNCTION billing.tenants_with_outbox_rows(p_after uuid, p_limit integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT h.tenant_id FROM billing.outbox_heads h
  WHERE h.has_rows AND h.tenant_id > p_after ORDER BY h.tenant_id LIMIT p_limit
$$;

-- Deletes up to `p_limit` rows of before `p_keep_since_micros` that all cursors are beyond, the oldest first; answers with their number.
CREATE FUNCTION billing.trim_outbox(p_tenant uuid, p_keep_since_micros bigint, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  head billing.outbox_heads;
  done bigint;
  upto bigint;
  count integer;
BEGIN
  PERFORM billing.require_tenant(p_tenant);
  SELECT * INTO head FROM billing.outbox_heads h WHERE h.tenant_id = p_tenant FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 0; END IF;
  done := coalesce(billing.least_cursor(p_tenant), head.last);
  -- Up to the first that is to be kept: a clock that went back makes no hole.
  SELECT coalesce(min(r.sequence) FILTER (WHERE r.create_time >= billing.from_micros(p_keep_since_micros)) - 1, max(r.sequence))
    INTO upto
  FROM (SELECT o.sequence, o.create_time FROM billing.outbox o
        WHERE o.tenant_id = p_tenant AND o.sequence > head.trimmed AND o.sequence <= done
        ORDER BY o.sequence LIMIT p_limit) AS r;
  upto := greatest(coalesce(upto, head.trimmed), head.trimmed);
  DELETE FROM billing.outbox o WHERE o.tenant_id = p_tenant AND o.sequence <= upto;
  GET DIAGNOSTICS count = ROW_COUNT;
  IF count > 0 OR (head.pending AND done >= head.last) THEN
    UPDATE billing.outbox_heads h SET trimmed = upto, has_rows = h.last > upto, pending = h.last > done
      WHERE h.tenant_id = p_tenant;
  END IF;
  RETURN count;
END $$;

DO $$
DECLARE f text;
BEGIN
  FOREACH f IN ARRAY ARRAY['add_consumer(text)', 'remove_consumer(text)', 'open_cursor(uuid, text)', 'close_cursor(uuid, text)',
      'advance_cursor(uuid, text, bigint)', 'rewind_cursor(uuid, text, bigint)', 'outbox_behind(text, uuid, integer)',
      'tenants_with_outbox_rows(uuid, integer)', 'trim_outbox(uuid, bigint, integer)'] LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION billing.%s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION billing.%s TO allod_billing', f);
  END LOOP;
END $$;
