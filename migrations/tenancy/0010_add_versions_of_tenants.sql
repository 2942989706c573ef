-- A tenant can be changed: its share of contended compute, why it is suspended, and a version by which its change is refused if
-- somebody else came first and followed by whoever acts on it. Versions come from the clock of the keys, so that they are one order
-- and become visible in it.
ALTER TABLE tenancy.tenants
  ADD COLUMN weight integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
  ADD COLUMN suspend_reason text NOT NULL DEFAULT '' CHECK (char_length(suspend_reason) <= 512),
  -- The clock when the tenant was made or changed last.
  ADD COLUMN version bigint NOT NULL DEFAULT 0;

-- Whoever changes one of these columns gives the tenant a new version, an operator's own SQL included. A row that has it already
-- and is written again keeps the old one.
CREATE FUNCTION tenancy.stamp_tenant_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenancy.keys_clock SET version = version + 1 RETURNING version INTO NEW.version;
  RETURN NEW;
END
$$;
CREATE TRIGGER stamp_new_tenant BEFORE INSERT ON tenancy.tenants
  FOR EACH ROW EXECUTE FUNCTION tenancy.stamp_tenant_version();
CREATE TRIGGER stamp_changed_tenant BEFORE UPDATE ON tenancy.tenants
  FOR EACH ROW WHEN ((OLD.display_name, OLD.residency, OLD.state, OLD.weight, OLD.suspend_reason)
    IS DISTINCT FROM (NEW.display_name, NEW.residency, NEW.state, NEW.weight, NEW.suspend_reason) OR OLD.version = 0)
  EXECUTE FUNCTION tenancy.stamp_tenant_version();
UPDATE tenancy.tenants SET version = version;
CREATE UNIQUE INDEX tenants_by_version ON tenancy.tenants (version);
