-- One clock for all changes of keys, so that whoever follows them reads what is new and nothing else. It is advanced under a
-- lock on its row that is held to the end of the transaction: versions become visible in their order, hence whoever has
-- read up to one has read all before it.
CREATE TABLE tenancy.keys_clock (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version bigint NOT NULL
);
INSERT INTO tenancy.keys_clock (version) SELECT COALESCE(max(keys_version), 0) FROM tenancy.tenants;
REVOKE INSERT, DELETE ON tenancy.keys_clock FROM allod_tenancy;

-- tenants.keys_version: the clock at the tenant's last change, which is a key made or revoked, or a change of its state.
-- Whoever updates either column gets a new version, an operator's own SQL included.
CREATE FUNCTION tenancy.stamp_keys_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenancy.keys_clock SET version = version + 1 RETURNING version INTO NEW.keys_version;
  RETURN NEW;
END
$$;
CREATE TRIGGER stamp_keys_version BEFORE UPDATE OF keys_version, state ON tenancy.tenants
  FOR EACH ROW EXECUTE FUNCTION tenancy.stamp_keys_version();
-- Those counted for each tenant until now are made one order.
UPDATE tenancy.tenants SET keys_version = keys_version WHERE keys_version > 0;
CREATE UNIQUE INDEX tenants_by_keys_version ON tenancy.tenants (keys_version) WHERE keys_version > 0;

-- api_keys.change_version: the clock when the key was made or revoked.
ALTER TABLE tenancy.api_keys ADD COLUMN change_version bigint NOT NULL DEFAULT 0;
CREATE INDEX api_keys_by_change ON tenancy.api_keys (tenant_id, change_version);
-- Only keys that hold count against the limits.
CREATE INDEX api_keys_valid ON tenancy.api_keys (tenant_id, project_id) WHERE revoke_time IS NULL;
