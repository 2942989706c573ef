-- Tenants that were deleted: a grace in which they can be brought back, then what they have is removed. The row stays, so that an id
-- is never reused.
ALTER TABLE tenancy.tenants
  DROP CONSTRAINT tenants_state_check,
  ADD CONSTRAINT tenants_state_check CHECK (state IN ('ACTIVE', 'SUSPENDED', 'DELETING', 'PURGING', 'DELETED')),
  ADD COLUMN delete_time timestamptz,
  ADD COLUMN purge_time timestamptz,
  ADD COLUMN delete_reason text NOT NULL DEFAULT '' CHECK (char_length(delete_reason) <= 512),
  -- What an undelete brings back.
  ADD COLUMN state_before text CHECK (state_before IN ('ACTIVE', 'SUSPENDED')),
  ADD CONSTRAINT tenants_deletion_check CHECK (
    CASE WHEN state IN ('DELETING', 'PURGING', 'DELETED') THEN num_nulls(delete_time, purge_time, state_before) = 0
    ELSE num_nonnulls(delete_time, purge_time, state_before) = 0 END);
-- Those that are to be looked at, however many there are.
CREATE INDEX tenants_to_purge ON tenancy.tenants (id, purge_time) WHERE state IN ('DELETING', 'PURGING');

-- What is gone has no part of its parent's quota any more; while it can be brought back it keeps it. Of no child left sum() is null,
-- which LEAST() would leave out.
CREATE OR REPLACE FUNCTION tenancy.carve_out() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  most CONSTANT bigint := 9223372036854775807;
BEGIN
  UPDATE tenancy.tenants p SET (below_instances, below_replicas, below_context_tokens, below_memory_bytes, below_api_keys, below_projects) =
    (SELECT LEAST(COALESCE(sum(quota_instances), 0), most), LEAST(COALESCE(sum(quota_replicas), 0), most),
      LEAST(COALESCE(sum(quota_context_tokens), 0), most), LEAST(COALESCE(sum(quota_memory_bytes), 0), most),
      LEAST(COALESCE(sum(quota_api_keys), 0), most), LEAST(COALESCE(sum(quota_projects), 0), most)
      FROM tenancy.tenants WHERE parent = NEW.parent AND state <> 'DELETED')
    WHERE p.id = NEW.parent;
  RETURN NULL;
END
$$;
CREATE TRIGGER carve_out_of_gone AFTER UPDATE OF state ON tenancy.tenants
  FOR EACH ROW WHEN (NEW.parent IS NOT NULL AND NEW.state = 'DELETED') EXECUTE FUNCTION tenancy.carve_out();

-- Removes up to `batch` rows of what the transaction's tenant has, and says how many they were; 0: nothing is left. By the owner's
-- right, because the role deletes neither keys nor projects; hence only of a tenant whose grace is over, and it is the
-- transaction's and no argument. The order is that of who refers to whom. The audit log stays, without what tells of people.
CREATE FUNCTION tenancy.purge_tenant(batch integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  tenant uuid := NULLIF(current_setting('allod.tenant', true), '')::uuid;
  area text;
  removed bigint;
BEGIN
  PERFORM FROM tenancy.tenants t WHERE t.tenant_id = tenant AND t.state = 'PURGING' FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'only a tenant whose grace is over can be purged' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  FOREACH area IN ARRAY ARRAY['sessions', 'members', 'workload_rules', 'roles', 'api_keys', 'identity_providers', 'projects', 'request_ids',
                              'audit_personal'] LOOP
    EXECUTE format('DELETE FROM tenancy.%1$I WHERE tenant_id = $1 AND ctid = ANY (ARRAY('
                   'SELECT ctid FROM tenancy.%1$I WHERE tenant_id = $1 LIMIT $2))', area) USING tenant, batch;
    GET DIAGNOSTICS removed = ROW_COUNT;
    IF removed > 0 THEN
      RETURN removed;
    END IF;
  END LOOP;
  RETURN 0;
END
$$;
REVOKE ALL ON FUNCTION tenancy.purge_tenant(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.purge_tenant(integer) TO allod_tenancy;
