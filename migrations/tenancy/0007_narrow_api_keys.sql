-- What narrows a key beside its scopes and roles, and when it was last used.
ALTER TABLE tenancy.api_keys
  -- None: never.
  ADD COLUMN expire_time timestamptz,
  -- Canonical text, IPv4 and IPv6; empty: every address.
  ADD COLUMN allowed_ip_ranges text[] NOT NULL DEFAULT '{}' CHECK (cardinality(allowed_ip_ranges) <= 32),
  -- Ids of instances of the key's project; empty: all.
  ADD COLUMN allowed_instances text[] NOT NULL DEFAULT '{}' CHECK (cardinality(allowed_instances) <= 64),
  -- A whole minute. It is in no index, so that writing it touches no index either.
  ADD COLUMN last_used_time timestamptz;

-- Keys that hold are counted and read through this: those that expired are not passed over one by one.
DROP INDEX tenancy.api_keys_valid;
CREATE INDEX api_keys_valid ON tenancy.api_keys (tenant_id, COALESCE(expire_time, 'infinity'::timestamptz), project_id)
  WHERE revoke_time IS NULL;
