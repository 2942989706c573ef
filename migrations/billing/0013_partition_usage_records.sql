-- Usage records are kept in partitions by month: ids are UUIDv7, so a month is a range of ids. The primary key stays as it was, and an
-- id is counted once whatever partition it is in, because it can be in one only.
--
-- What was recorded until now becomes one partition as it is: no row is copied but those with an id of after its end, if any. For
-- that the table is read twice, with nobody else at it: about 10 seconds for 10 million records. Its indices and its foreign key are
-- taken over.

-- The lowest id that a request admitted at `t` or later may have.
CREATE FUNCTION billing.first_request_id(t timestamptz) RETURNS uuid
LANGUAGE sql STABLE AS $$
  SELECT rpad(lpad(to_hex(ceil(extract(epoch FROM t) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;

ALTER TABLE billing.usage_records RENAME TO usage_records_before;
ALTER INDEX billing.usage_records_pkey RENAME TO usage_records_before_pkey;
ALTER INDEX billing.usage_records_by_instance RENAME TO usage_records_before_by_instance;
ALTER INDEX billing.usage_records_by_project RENAME TO usage_records_before_by_project;
DROP TRIGGER add_to_totals ON billing.usage_records_before;

CREATE TABLE billing.usage_records (
  LIKE billing.usage_records_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED,
  PRIMARY KEY (tenant_id, request_id),
  FOREIGN KEY (tenant_id, request_id, revision) REFERENCES billing.reservations (tenant_id, request_id, revision)
) PARTITION BY RANGE (request_id);
CREATE INDEX usage_records_by_instance ON billing.usage_records (tenant_id, instance, request_id);
CREATE INDEX usage_records_by_project ON billing.usage_records (tenant_id, project, request_id);

-- Which partitions there are; what is in none of these is in usage_records_default.
CREATE TABLE billing.usage_partitions (
  name        text COLLATE "C" PRIMARY KEY,
  low         uuid NOT NULL,  -- of its ids, inclusive
  high        uuid NOT NULL,  -- exclusive
  create_time timestamptz NOT NULL DEFAULT now(),
  CHECK (low < high)
);
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.usage_partitions FROM allod_billing;

-- The service reaches rows through the parent only, whose policies and triggers are those that count. These here are for the rest.
CREATE FUNCTION billing.close_partition(p_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('REVOKE ALL ON billing.%I FROM allod_billing', p_name);
  EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p_name);
  EXECUTE format($p$CREATE POLICY tenant_rows ON billing.%I
                    USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
                    WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)$p$, p_name);
  EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.%I
                  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change()', p_name);
END $$;
REVOKE ALL ON FUNCTION billing.close_partition(text) FROM PUBLIC;

CREATE TABLE billing.usage_records_default PARTITION OF billing.usage_records DEFAULT;
SELECT billing.close_partition('usage_records_default');
-- What is in it moves into the partition that is made for it.
CREATE POLICY owner_moves_rows ON billing.usage_records_default TO CURRENT_USER USING (true) WITH CHECK (true);

-- Makes the partitions of this month and of so many after it that are not there, by this database's clock; returns how many. What it
-- locks, it locks for milliseconds: usage_records against other changes of its shape, usage_records_default against everything, and
-- reservations against writing. When it cannot have that in half a second it fails, and nothing has changed. As the owner, because
-- the app role owns nothing.
CREATE FUNCTION billing.make_usage_partitions(p_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
  month   timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
  name    text;
  first   uuid;
  beyond  uuid;
  columns text;
  made    integer := 0;
BEGIN
  IF p_ahead NOT BETWEEN 0 AND 24 THEN
    RAISE EXCEPTION 'partitions are made for at most 24 months, not for %', p_ahead USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('billing.usage_partitions'));
  FOR i IN 0 .. p_ahead LOOP
    name := 'usage_records_' || to_char(month, 'YYYY_MM');
    first := billing.first_request_id(month AT TIME ZONE 'UTC');
    month := month + interval '1 month';
    beyond := billing.first_request_id(month AT TIME ZONE 'UTC');
    CONTINUE WHEN EXISTS (SELECT FROM billing.usage_partitions p WHERE p.low <= first AND p.high >= beyond);
    LOCK TABLE billing.usage_records IN SHARE UPDATE EXCLUSIVE MODE;
    LOCK TABLE billing.usage_records_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE billing.%I (LIKE billing.usage_records INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
                   'INCLUDING GENERATED)', name);
    IF EXISTS (SELECT FROM billing.usage_records_default u WHERE u.request_id >= first AND u.request_id < beyond) THEN
      SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns FROM pg_attribute a
        WHERE a.attrelid = 'billing.usage_records'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
      ALTER TABLE billing.usage_records_default DISABLE TRIGGER refuse_change;
      EXECUTE format('WITH moved AS (DELETE FROM billing.usage_records_default u WHERE u.request_id >= $1 AND u.request_id < $2 '
                     'RETURNING *) INSERT INTO billing.%I (%s) SELECT %2$s FROM moved', name, columns) USING first, beyond;
      ALTER TABLE billing.usage_records_default ENABLE TRIGGER refuse_change;
    END IF;
    EXECUTE format('ALTER TABLE billing.usage_records ATTACH PARTITION billing.%I FOR VALUES FROM (%L) TO (%L)', name, first,
                   beyond);
    PERFORM billing.close_partition(name);
    INSERT INTO billing.usage_partitions (name, low, high) VALUES (name, first, beyond);
    made := made + 1;
  END LOOP;
  RETURN made;
END $$;
REVOKE ALL ON FUNCTION billing.make_usage_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.make_usage_partitions(integer) TO allod_billing;

-- With records there, theirs is all up to the end of this month; without, up to its beginning.
ALTER TABLE billing.usage_records_before NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
  month   timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
  beyond  uuid;
  columns text;
BEGIN
  IF EXISTS (SELECT FROM billing.usage_records_before) THEN month := month + interval '1 month'; END IF;
  beyond := billing.first_request_id(month AT TIME ZONE 'UTC');
  SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns FROM pg_attribute a
    WHERE a.attrelid = 'billing.usage_records'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
  CREATE TEMPORARY TABLE records_of_later ON COMMIT DROP AS
    SELECT * FROM billing.usage_records_before u WHERE u.request_id >= beyond;
  ALTER TABLE billing.usage_records_before DISABLE TRIGGER refuse_change;
  DELETE FROM billing.usage_records_before u USING records_of_later l
    WHERE u.tenant_id = l.tenant_id AND u.request_id = l.request_id;
  ALTER TABLE billing.usage_records_before ENABLE TRIGGER refuse_change;
  EXECUTE format('ALTER TABLE billing.usage_records ATTACH PARTITION billing.usage_records_before FOR VALUES FROM (MINVALUE) '
                 'TO (%L)', beyond);
  INSERT INTO billing.usage_partitions (name, low, high)
    VALUES ('usage_records_before', '00000000-0000-0000-0000-000000000000', beyond);
  PERFORM billing.make_usage_partitions(3);
  EXECUTE format('INSERT INTO billing.usage_records (%s) SELECT %1$s FROM records_of_later', columns);
END $$;
ALTER TABLE billing.usage_records_before FORCE ROW LEVEL SECURITY;
REVOKE ALL ON billing.usage_records_before FROM allod_billing;

-- As they were.
ALTER TABLE billing.usage_records ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.usage_records
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE UPDATE, DELETE, TRUNCATE ON billing.usage_records FROM allod_billing;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.usage_records
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER add_to_totals AFTER INSERT ON billing.usage_records
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.add_to_totals();

-- It returned rows of the table of before.
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
