-- Whose tokens a tenant trusts, and which workloads act in its projects as what.
CREATE TABLE tenancy.identity_providers (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  id text COLLATE "C" NOT NULL,
  display_name text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 128),
  issuer text COLLATE "C" NOT NULL CHECK (char_length(issuer) BETWEEN 8 AND 256),
  audiences text[] NOT NULL CHECK (cardinality(audiences) BETWEEN 1 AND 8),
  disabled boolean NOT NULL,
  create_time timestamptz NOT NULL,
  -- The clock below when it was changed last.
  change_version bigint NOT NULL,
  PRIMARY KEY (tenant_id, id),
  -- So that a token's issuer names one of them.
  UNIQUE (tenant_id, issuer)
);
ALTER TABLE tenancy.identity_providers ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.identity_providers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.identity_providers
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);

CREATE TABLE tenancy.workload_rules (
  tenant_id uuid NOT NULL,
  project_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  uid uuid NOT NULL,
  display_name text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 128),
  provider_id text COLLATE "C" NOT NULL,
  -- Of each claim its name, what it is to be, and whether it is that or begins with it.
  claims text[] NOT NULL CHECK (cardinality(claims) BETWEEN 1 AND 8),
  claim_values text[] NOT NULL CHECK (cardinality(claim_values) = cardinality(claims)),
  claim_matches text[] NOT NULL CHECK (cardinality(claim_matches) = cardinality(claims) AND claim_matches <@ ARRAY['equals', 'prefix']),
  scopes text[] NOT NULL CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['INFERENCE', 'PORTAL']),
  roles text[] NOT NULL CHECK (cardinality(roles) <= 8 AND (cardinality(roles) > 0) = ('PORTAL' = ANY (scopes))),
  token_minutes integer NOT NULL CHECK (token_minutes BETWEEN 1 AND 60),
  disabled boolean NOT NULL,
  create_time timestamptz NOT NULL,
  change_version bigint NOT NULL,
  PRIMARY KEY (tenant_id, project_id, id),
  FOREIGN KEY (tenant_id, project_id) REFERENCES tenancy.projects (tenant_id, id),
  FOREIGN KEY (tenant_id, provider_id) REFERENCES tenancy.identity_providers (tenant_id, id)
);
CREATE INDEX workload_rules_by_provider ON tenancy.workload_rules (tenant_id, provider_id);
ALTER TABLE tenancy.workload_rules ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.workload_rules FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.workload_rules
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);

-- A clock of their own for gateways that follow them, as keys_clock is for keys: versions become visible in their order.
CREATE TABLE tenancy.identity_clock (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version bigint NOT NULL
);
INSERT INTO tenancy.identity_clock (version) VALUES (0);
REVOKE INSERT, DELETE ON tenancy.identity_clock FROM allod_tenancy;
-- tenants.identity_version: the clock at the last change of the tenant's providers, rules or state; 0 until it has any.
ALTER TABLE tenancy.tenants ADD COLUMN identity_version bigint NOT NULL DEFAULT 0;
CREATE FUNCTION tenancy.stamp_identity_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tenancy.identity_clock SET version = version + 1 RETURNING version INTO NEW.identity_version;
  RETURN NEW;
END
$$;
CREATE TRIGGER stamp_identity_version BEFORE UPDATE OF identity_version, state ON tenancy.tenants
  FOR EACH ROW EXECUTE FUNCTION tenancy.stamp_identity_version();
CREATE UNIQUE INDEX tenants_by_identity_version ON tenancy.tenants (identity_version) WHERE identity_version > 0;
