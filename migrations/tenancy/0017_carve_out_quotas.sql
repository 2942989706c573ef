-- What of a tenant's quota its children have, so that who counts against the rest reads one row.
ALTER TABLE tenancy.tenants
  ADD COLUMN below_instances bigint NOT NULL DEFAULT 0 CHECK (below_instances >= 0),
  ADD COLUMN below_replicas bigint NOT NULL DEFAULT 0 CHECK (below_replicas >= 0),
  ADD COLUMN below_context_tokens bigint NOT NULL DEFAULT 0 CHECK (below_context_tokens >= 0),
  ADD COLUMN below_memory_bytes bigint NOT NULL DEFAULT 0 CHECK (below_memory_bytes >= 0),
  ADD COLUMN below_api_keys bigint NOT NULL DEFAULT 0 CHECK (below_api_keys >= 0),
  ADD COLUMN below_projects bigint NOT NULL DEFAULT 0 CHECK (below_projects >= 0);

-- Whoever sets the quota of a child says so to its parent, an operator's own SQL included.
CREATE FUNCTION tenancy.carve_out() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  most CONSTANT bigint := 9223372036854775807;
BEGIN
  UPDATE tenancy.tenants p SET (below_instances, below_replicas, below_context_tokens, below_memory_bytes, below_api_keys, below_projects) =
    (SELECT LEAST(sum(quota_instances), most), LEAST(sum(quota_replicas), most), LEAST(sum(quota_context_tokens), most),
      LEAST(sum(quota_memory_bytes), most), LEAST(sum(quota_api_keys), most), LEAST(sum(quota_projects), most)
      FROM tenancy.tenants WHERE parent = NEW.parent)
    WHERE p.id = NEW.parent;
  RETURN NULL;
END
$$;
CREATE TRIGGER carve_out_of_new AFTER INSERT ON tenancy.tenants
  FOR EACH ROW WHEN (NEW.parent IS NOT NULL) EXECUTE FUNCTION tenancy.carve_out();
CREATE TRIGGER carve_out AFTER UPDATE OF quota_instances, quota_replicas, quota_context_tokens, quota_memory_bytes, quota_api_keys,
  quota_projects ON tenancy.tenants FOR EACH ROW WHEN (NEW.parent IS NOT NULL) EXECUTE FUNCTION tenancy.carve_out();

-- What the parent of the transaction's tenant has itself, which is behind its row-level security. Nobody else's: the tenant is the
-- transaction's and no argument.
CREATE FUNCTION tenancy.use_of_parent(OUT projects bigint, OUT api_keys bigint) LANGUAGE plpgsql AS $$
DECLARE
  child text := current_setting('allod.tenant', true);
  of_parent uuid;
BEGIN
  SELECT p.tenant_id INTO STRICT of_parent FROM tenancy.tenants c JOIN tenancy.tenants p ON p.id = c.parent
    WHERE c.tenant_id = NULLIF(child, '')::uuid;
  PERFORM set_config('allod.tenant', of_parent::text, true);
  SELECT count(*) INTO projects FROM tenancy.projects WHERE tenant_id = of_parent;
  SELECT count(*) INTO api_keys FROM tenancy.api_keys
    WHERE tenant_id = of_parent AND revoke_time IS NULL AND COALESCE(expire_time, 'infinity'::timestamptz) > now();
  PERFORM set_config('allod.tenant', child, true);
END
$$;
REVOKE ALL ON FUNCTION tenancy.use_of_parent() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.use_of_parent() TO allod_tenancy;
