-- Who of a tenant's people has which roles.
CREATE TABLE tenancy.members (
  tenant_id uuid NOT NULL,
  id text COLLATE "C" NOT NULL,
  uid uuid NOT NULL,
  display_name text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 128),
  provider_id text COLLATE "C" NOT NULL,
  -- As those of workload_rules.
  claims text[] NOT NULL CHECK (cardinality(claims) BETWEEN 1 AND 8),
  claim_values text[] NOT NULL CHECK (cardinality(claim_values) = cardinality(claims)),
  claim_matches text[] NOT NULL CHECK (cardinality(claim_matches) = cardinality(claims) AND claim_matches <@ ARRAY['equals', 'prefix', 'contains']),
  -- Roles at the tenant as a whole.
  tenant_roles text[] NOT NULL CHECK (cardinality(tenant_roles) <= 8),
  -- Of each project where there are more its id, and its roles with commas between them. Projects are never deleted.
  grant_projects text[] NOT NULL CHECK (cardinality(grant_projects) <= 32),
  grant_roles text[] NOT NULL CHECK (cardinality(grant_roles) = cardinality(grant_projects)),
  disabled boolean NOT NULL,
  create_time timestamptz NOT NULL,
  -- identity_clock when it was changed last.
  change_version bigint NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, provider_id) REFERENCES tenancy.identity_providers (tenant_id, id),
  CHECK (cardinality(tenant_roles) + cardinality(grant_projects) > 0)
);
CREATE INDEX members_by_provider ON tenancy.members (tenant_id, provider_id);
ALTER TABLE tenancy.members ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.members FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.members
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
