-- The audit log: what was done to a tenant's things, in one chain of hashes for each tenant (services/common/audit). The role of
-- the service reads entries and adds them, each as the next of its chain and no other; it changes and deletes none. Heads are
-- moved by the trigger alone.
CREATE TABLE tenancy.audit_heads (
  tenant_id uuid PRIMARY KEY,
  sequence bigint NOT NULL CHECK (sequence >= 0),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  time timestamptz NOT NULL
);
CREATE TABLE tenancy.audit_entries (
  tenant_id uuid NOT NULL,
  sequence bigint NOT NULL CHECK (sequence > 0),
  time timestamptz NOT NULL,
  actor_kind text NOT NULL CHECK (actor_kind ~ '^[a-z_]{1,32}$'),
  actor_id text NOT NULL CHECK (octet_length(actor_id) <= 1024),
  credential text NOT NULL CHECK (octet_length(credential) <= 1024),
  action text NOT NULL CHECK (octet_length(action) BETWEEN 1 AND 1024),
  resource text NOT NULL CHECK (octet_length(resource) <= 1024),
  outcome text NOT NULL CHECK (outcome IN ('done', 'refused')),
  reason text NOT NULL CHECK (octet_length(reason) <= 1024),
  trace_id text NOT NULL CHECK (octet_length(trace_id) <= 1024),
  -- Of a personal detail the value here is its commitment in hex; what was committed to is in audit_personal until it is erased.
  detail_names text[] NOT NULL CHECK (cardinality(detail_names) <= 16),
  detail_values text[] NOT NULL CHECK (cardinality(detail_values) = cardinality(detail_names)),
  personal_details text[] NOT NULL CHECK (personal_details <@ detail_names),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  PRIMARY KEY (tenant_id, sequence)
);
CREATE INDEX audit_entries_by_time ON tenancy.audit_entries (tenant_id, time, sequence);
CREATE TABLE tenancy.audit_personal (
  tenant_id uuid NOT NULL,
  sequence bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  salt bytea NOT NULL CHECK (octet_length(salt) = 32),
  value text NOT NULL,
  PRIMARY KEY (tenant_id, sequence, name),
  FOREIGN KEY (tenant_id, sequence) REFERENCES tenancy.audit_entries (tenant_id, sequence)
);
REVOKE INSERT, UPDATE, DELETE ON tenancy.audit_heads FROM allod_tenancy;
REVOKE UPDATE, DELETE ON tenancy.audit_entries FROM allod_tenancy;
REVOKE UPDATE ON tenancy.audit_personal FROM allod_tenancy;

ALTER TABLE tenancy.audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.audit_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.audit_heads
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
ALTER TABLE tenancy.audit_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.audit_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.audit_entries
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
ALTER TABLE tenancy.audit_personal ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.audit_personal FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.audit_personal
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);

-- The head of the transaction's tenant, locked to its end, and the time that the next entry has: now, but not before that of the
-- last one. `genesis` begins the chain if there is none. By the owner's right, because the role may not touch heads; hence the
-- tenant is the transaction's and no argument.
CREATE FUNCTION tenancy.lock_audit_head(genesis bytea, OUT sequence bigint, OUT hash bytea, OUT micros bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  tenant uuid := NULLIF(current_setting('allod.tenant', true), '')::uuid;
  head record;
BEGIN
  SELECT h.sequence, h.hash, h.time INTO head FROM tenancy.audit_heads h WHERE h.tenant_id = tenant FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO tenancy.audit_heads (tenant_id, sequence, hash, time) VALUES (tenant, 0, genesis, '1970-01-01 00:00:00+00')
      ON CONFLICT DO NOTHING;
    SELECT h.sequence, h.hash, h.time INTO STRICT head FROM tenancy.audit_heads h WHERE h.tenant_id = tenant FOR UPDATE;
  END IF;
  sequence := head.sequence;
  hash := head.hash;
  micros := (extract(epoch FROM greatest(head.time, clock_timestamp())) * 1000000)::bigint;
END
$$;
REVOKE ALL ON FUNCTION tenancy.lock_audit_head(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.lock_audit_head(bytea) TO allod_tenancy;

CREATE FUNCTION tenancy.advance_audit_head() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE tenancy.audit_heads h SET sequence = NEW.sequence, hash = NEW.hash, time = NEW.time
    WHERE h.tenant_id = NEW.tenant_id AND h.sequence = NEW.sequence - 1 AND h.time <= NEW.time;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'audit entry % does not follow the head of its chain', NEW.sequence
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER advance_audit_head AFTER INSERT ON tenancy.audit_entries
  FOR EACH ROW EXECUTE FUNCTION tenancy.advance_audit_head();
