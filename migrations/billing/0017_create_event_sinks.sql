-- Event sinks: webhooks of tenants to which the outbox is relayed. How far each has come is its cursor in outbox_cursors; how it does is
-- in its row.

CREATE TABLE billing.event_sinks (
  tenant_id            uuid NOT NULL REFERENCES billing.billing_accounts (tenant_id),
  id                   text COLLATE "C" NOT NULL CHECK (length(id) BETWEEN 1 AND 63),
  display_name         text NOT NULL,
  url                  text NOT NULL,
  kinds                text[] NOT NULL,
  disabled             boolean NOT NULL,
  salt                 uuid NOT NULL,  -- of the secret, which is derived and not stored
  previous_salt        uuid,
  previous_expire_time timestamptz,
  version              bigint NOT NULL DEFAULT 1,
  create_time          timestamptz NOT NULL DEFAULT clock_timestamp(),
  request_id           uuid,  -- of the last change
  payload_sha256       text NOT NULL,
  -- Of the relay.
  row_offset           integer NOT NULL DEFAULT 0 CHECK (row_offset >= 0),  -- events that it has of the row after its cursor
  suspended            boolean NOT NULL DEFAULT false,
  failures             integer NOT NULL DEFAULT 0,
  failing_since        timestamptz,
  last_success_time    timestamptz,
  last_error_time      timestamptz,
  last_error           text NOT NULL DEFAULT '',
  next_attempt_time    timestamptz NOT NULL DEFAULT '-infinity',  -- moved ahead by whoever takes it
  PRIMARY KEY (tenant_id, id),
  CHECK ((failures = 0) = (failing_since IS NULL)),
  CHECK ((previous_salt IS NULL) = (previous_expire_time IS NULL))
) WITH (fillfactor = 50);

ALTER TABLE billing.event_sinks ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.event_sinks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.event_sinks
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE TRUNCATE ON billing.event_sinks FROM allod_billing;

-- Ids of sinks are those of resources.
ALTER TABLE billing.outbox_cursors DROP CONSTRAINT outbox_cursors_consumer_check,
  ADD CONSTRAINT outbox_cursors_consumer_check CHECK (consumer ~ '^([a-z][a-z0-9_]{0,62}|sinks/[a-z0-9][a-z0-9._-]{0,62})$');

CREATE POLICY owner_finds_due_sinks ON billing.event_sinks FOR SELECT TO CURRENT_USER USING (true);

-- Sinks that have something to get and whose time has come; tenants without anything pending are not looked at.
CREATE FUNCTION billing.due_sinks(p_after_tenant uuid, p_after text, p_limit integer) RETURNS TABLE (tenant_id uuid, id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.tenant_id, s.id
  FROM billing.outbox_heads h
  JOIN billing.event_sinks s ON s.tenant_id = h.tenant_id
  JOIN billing.outbox_cursors c ON c.tenant_id = s.tenant_id AND c.consumer = 'sinks/' || s.id
  WHERE h.pending AND h.tenant_id >= p_after_tenant AND (s.tenant_id, s.id) > (p_after_tenant, p_after COLLATE "C")
    AND c.sequence < h.last AND NOT s.disabled AND NOT s.suspended AND s.next_attempt_time <= clock_timestamp()
  ORDER BY s.tenant_id, s.id LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION billing.due_sinks(uuid, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.due_sinks(uuid, text, integer) TO allod_billing;

CREATE POLICY owner_finds_old_events ON billing.outbox FOR SELECT TO CURRENT_USER USING (true);

-- Tenants whose oldest row nobody needs: all cursors are beyond it and, where there are sinks, it is of before the time.
CREATE FUNCTION billing.tenants_to_trim(p_keep_since_micros bigint, p_after uuid, p_limit integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT h.tenant_id
  FROM billing.outbox_heads h
  JOIN billing.outbox o ON o.tenant_id = h.tenant_id AND o.sequence = h.trimmed + 1
  WHERE h.has_rows AND h.tenant_id > p_after AND h.trimmed < coalesce(billing.least_cursor(h.tenant_id), h.last)
    AND (o.create_time < billing.from_micros(p_keep_since_micros)
      OR NOT EXISTS (SELECT FROM billing.outbox_cursors c WHERE c.tenant_id = h.tenant_id AND c.consumer LIKE 'sinks/%'))
  ORDER BY h.tenant_id LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION billing.tenants_to_trim(bigint, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.tenants_to_trim(bigint, uuid, integer) TO allod_billing;
