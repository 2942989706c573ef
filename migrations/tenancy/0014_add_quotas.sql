-- What a tenant may have at most, and each of its projects within that; 0: none of its own. A project can be changed, by who knows
-- it as it is.
ALTER TABLE tenancy.tenants
  ADD COLUMN quota_instances bigint NOT NULL DEFAULT 0 CHECK (quota_instances >= 0),
  ADD COLUMN quota_replicas bigint NOT NULL DEFAULT 0 CHECK (quota_replicas >= 0),
  ADD COLUMN quota_context_tokens bigint NOT NULL DEFAULT 0 CHECK (quota_context_tokens >= 0),
  ADD COLUMN quota_memory_bytes bigint NOT NULL DEFAULT 0 CHECK (quota_memory_bytes >= 0),
  ADD COLUMN quota_api_keys bigint NOT NULL DEFAULT 0 CHECK (quota_api_keys >= 0),
  ADD COLUMN quota_projects bigint NOT NULL DEFAULT 0 CHECK (quota_projects >= 0);
ALTER TABLE tenancy.projects
  ADD COLUMN version bigint NOT NULL DEFAULT 1,
  ADD COLUMN quota_instances bigint NOT NULL DEFAULT 0 CHECK (quota_instances >= 0),
  ADD COLUMN quota_replicas bigint NOT NULL DEFAULT 0 CHECK (quota_replicas >= 0),
  ADD COLUMN quota_context_tokens bigint NOT NULL DEFAULT 0 CHECK (quota_context_tokens >= 0),
  ADD COLUMN quota_memory_bytes bigint NOT NULL DEFAULT 0 CHECK (quota_memory_bytes >= 0),
  ADD COLUMN quota_api_keys bigint NOT NULL DEFAULT 0 CHECK (quota_api_keys >= 0);
-- Its name, tenant and time of creation stay.
GRANT UPDATE (display_name, version, quota_instances, quota_replicas, quota_context_tokens, quota_memory_bytes, quota_api_keys)
  ON tenancy.projects TO allod_tenancy;

-- A change of a quota is a change of its tenant.
CREATE TRIGGER stamp_changed_quota BEFORE UPDATE ON tenancy.tenants
  FOR EACH ROW WHEN ((OLD.quota_instances, OLD.quota_replicas, OLD.quota_context_tokens, OLD.quota_memory_bytes,
    OLD.quota_api_keys, OLD.quota_projects) IS DISTINCT FROM (NEW.quota_instances, NEW.quota_replicas,
    NEW.quota_context_tokens, NEW.quota_memory_bytes, NEW.quota_api_keys, NEW.quota_projects))
  EXECUTE FUNCTION tenancy.stamp_tenant_version();
