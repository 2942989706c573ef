-- A tenant may be below another, at most four levels. What is above it is settled when it is made, so there are no cycles, and kept
-- in its row, so that nobody walks up or down.
ALTER TABLE tenancy.tenants
  ADD COLUMN parent text COLLATE "C" REFERENCES tenancy.tenants (id),
  -- Ids from the top to the parent.
  ADD COLUMN ancestors text[] COLLATE "C" NOT NULL DEFAULT '{}' CHECK (cardinality(ancestors) <= 3),
  -- Of those the nearest that is suspended; empty: none is.
  ADD COLUMN suspended_by text COLLATE "C" NOT NULL DEFAULT '',
  ADD CONSTRAINT tenants_parent_check CHECK (parent IS NOT DISTINCT FROM ancestors[cardinality(ancestors)]),
  ADD CONSTRAINT tenants_suspended_by_check CHECK (suspended_by = '' OR suspended_by = ANY (ancestors));
CREATE INDEX tenants_by_parent ON tenancy.tenants (parent) WHERE parent IS NOT NULL;
CREATE INDEX tenants_by_ancestors ON tenancy.tenants USING gin (ancestors);

CREATE FUNCTION tenancy.keep_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what is above a tenant never changes' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER keep_parent BEFORE UPDATE OF parent, ancestors ON tenancy.tenants
  FOR EACH ROW WHEN ((OLD.parent, OLD.ancestors) IS DISTINCT FROM (NEW.parent, NEW.ancestors)) EXECUTE FUNCTION tenancy.keep_parent();

-- Who suspends or resumes a tenant does so for all below it, an operator's own SQL included. Whoever wants no deadlock has locked
-- those below first.
CREATE FUNCTION tenancy.suspend_below() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenancy.tenants t SET suspended_by = s.id
    FROM (SELECT b.tenant_id, COALESCE((SELECT a.id FROM tenancy.tenants a WHERE a.id = ANY (b.ancestors) AND a.state <> 'ACTIVE'
      ORDER BY cardinality(a.ancestors) DESC LIMIT 1), '') AS id FROM tenancy.tenants b WHERE b.ancestors @> ARRAY[NEW.id]) s
    WHERE t.tenant_id = s.tenant_id AND t.suspended_by <> s.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER suspend_below AFTER UPDATE OF state ON tenancy.tenants
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION tenancy.suspend_below();

-- It is a change of each of them for all who follow tenants, keys and identities. The clock of the keys comes first, as everywhere.
DROP TRIGGER stamp_changed_tenant ON tenancy.tenants;
CREATE TRIGGER stamp_changed_tenant BEFORE UPDATE ON tenancy.tenants
  FOR EACH ROW WHEN ((OLD.display_name, OLD.residency, OLD.state, OLD.weight, OLD.suspend_reason, OLD.suspended_by)
    IS DISTINCT FROM (NEW.display_name, NEW.residency, NEW.state, NEW.weight, NEW.suspend_reason, NEW.suspended_by) OR OLD.version = 0)
  EXECUTE FUNCTION tenancy.stamp_tenant_version();
DROP TRIGGER stamp_identity_version ON tenancy.tenants;
CREATE TRIGGER stamp_identity_version BEFORE UPDATE OF identity_version, state, suspended_by ON tenancy.tenants
  FOR EACH ROW EXECUTE FUNCTION tenancy.stamp_identity_version();
DROP TRIGGER stamp_keys_version ON tenancy.tenants;
CREATE TRIGGER stamp_keys_version BEFORE UPDATE OF keys_version, state, suspended_by ON tenancy.tenants
  FOR EACH ROW EXECUTE FUNCTION tenancy.stamp_keys_version();

-- Who suspended a tenant: people of a tenant above it, who may resume it, or else an operator, his own SQL included.
ALTER TABLE tenancy.tenants ADD COLUMN suspended_from_above boolean NOT NULL DEFAULT false;
CREATE FUNCTION tenancy.forget_who_suspended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.suspended_from_above := false;
  RETURN NEW;
END
$$;
CREATE TRIGGER forget_who_suspended BEFORE UPDATE OF state ON tenancy.tenants
  FOR EACH ROW WHEN (NEW.state = 'ACTIVE') EXECUTE FUNCTION tenancy.forget_who_suspended();
