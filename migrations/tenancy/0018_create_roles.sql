-- Roles that tenants make themselves: sets of permissions.
CREATE TABLE tenancy.roles (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  id text COLLATE "C" NOT NULL,
  uid uuid NOT NULL,
  display_name text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 128),
  summary text NOT NULL CHECK (char_length(summary) <= 512),
  -- Patterns "area.collection.verb".
  permissions text[] NOT NULL CHECK (cardinality(permissions) BETWEEN 1 AND 64),
  create_time timestamptz NOT NULL,
  -- identity_clock when it was changed last.
  change_version bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
ALTER TABLE tenancy.roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.roles FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.roles
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
