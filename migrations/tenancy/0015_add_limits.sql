-- What may be asked for in a time, of tenants, projects, models of these and keys; 0: none of its kind.
ALTER TABLE tenancy.tenants
  ADD COLUMN limit_requests bigint NOT NULL DEFAULT 0 CHECK (limit_requests >= 0),
  ADD COLUMN limit_tokens bigint NOT NULL DEFAULT 0 CHECK (limit_tokens >= 0),
  ADD COLUMN limit_concurrency integer NOT NULL DEFAULT 0 CHECK (limit_concurrency >= 0),
  ADD COLUMN limit_shadow boolean NOT NULL DEFAULT false,
  -- The clock of the keys at the last change of a limit of the tenant, of a project or of a model; 0 until there was one.
  ADD COLUMN limits_version bigint NOT NULL DEFAULT 0;
ALTER TABLE tenancy.projects
  ADD COLUMN limit_requests bigint NOT NULL DEFAULT 0 CHECK (limit_requests >= 0),
  ADD COLUMN limit_tokens bigint NOT NULL DEFAULT 0 CHECK (limit_tokens >= 0),
  ADD COLUMN limit_concurrency integer NOT NULL DEFAULT 0 CHECK (limit_concurrency >= 0),
  ADD COLUMN limit_shadow boolean NOT NULL DEFAULT false,
  -- Of each model its id, what it may, and whether that is in shadow.
  ADD COLUMN limited_instances text[] NOT NULL DEFAULT '{}' CHECK (cardinality(limited_instances) <= 16),
  ADD COLUMN instance_requests bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(instance_requests) = cardinality(limited_instances)),
  ADD COLUMN instance_tokens bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(instance_tokens) = cardinality(limited_instances)),
  ADD COLUMN instance_concurrency integer[] NOT NULL DEFAULT '{}' CHECK (cardinality(instance_concurrency) = cardinality(limited_instances)),
  ADD COLUMN instance_shadow text[] NOT NULL DEFAULT '{}'
    CHECK (cardinality(instance_shadow) = cardinality(limited_instances) AND instance_shadow <@ ARRAY['t', 'f']);
GRANT UPDATE (limit_requests, limit_tokens, limit_concurrency, limit_shadow, limited_instances, instance_requests, instance_tokens,
  instance_concurrency, instance_shadow) ON tenancy.projects TO allod_tenancy;
ALTER TABLE tenancy.api_keys
  ADD COLUMN limit_requests bigint NOT NULL DEFAULT 0 CHECK (limit_requests >= 0),
  ADD COLUMN limit_tokens bigint NOT NULL DEFAULT 0 CHECK (limit_tokens >= 0),
  ADD COLUMN limit_concurrency integer NOT NULL DEFAULT 0 CHECK (limit_concurrency >= 0),
  ADD COLUMN limit_shadow boolean NOT NULL DEFAULT false;

-- A change of a tenant's limits is a change of the tenant, for who knows it by its etag, and of what gateways are told with the keys.
CREATE TRIGGER stamp_tenant_limits BEFORE UPDATE ON tenancy.tenants
  FOR EACH ROW WHEN ((OLD.limit_requests, OLD.limit_tokens, OLD.limit_concurrency, OLD.limit_shadow)
    IS DISTINCT FROM (NEW.limit_requests, NEW.limit_tokens, NEW.limit_concurrency, NEW.limit_shadow))
  EXECUTE FUNCTION tenancy.stamp_tenant_version();
CREATE FUNCTION tenancy.stamp_limits_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenancy.keys_clock SET version = version + 1 RETURNING version INTO NEW.keys_version;
  NEW.limits_version := NEW.keys_version;
  RETURN NEW;
END
$$;
CREATE TRIGGER stamp_changed_limits BEFORE UPDATE ON tenancy.tenants
  FOR EACH ROW WHEN ((OLD.limit_requests, OLD.limit_tokens, OLD.limit_concurrency, OLD.limit_shadow)
    IS DISTINCT FROM (NEW.limit_requests, NEW.limit_tokens, NEW.limit_concurrency, NEW.limit_shadow))
  EXECUTE FUNCTION tenancy.stamp_limits_version();
-- Who changes those of a project says so by writing this column; a tenant that is made with limits as well.
CREATE TRIGGER stamp_project_limits BEFORE UPDATE OF limits_version ON tenancy.tenants
  FOR EACH ROW EXECUTE FUNCTION tenancy.stamp_limits_version();
