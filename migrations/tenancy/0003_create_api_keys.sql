-- Only a digest of the secret is stored: HMAC-SHA256 under a pepper that is not in the database.
CREATE TABLE tenancy.api_keys (
  tenant_id uuid NOT NULL,
  kid text COLLATE "C" NOT NULL UNIQUE CHECK (kid ~ '^[a-z2-7]{12}$'),
  project_id text COLLATE "C" NOT NULL,
  display_name text NOT NULL CHECK (char_length(display_name) <= 128),
  scopes text[] NOT NULL CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['INFERENCE', 'PORTAL']),
  digest bytea NOT NULL CHECK (octet_length(digest) = 32),
  create_time timestamptz NOT NULL,
  revoke_time timestamptz,
  PRIMARY KEY (tenant_id, kid),
  FOREIGN KEY (tenant_id, project_id) REFERENCES tenancy.projects (tenant_id, id)
);
CREATE INDEX api_keys_by_project ON tenancy.api_keys (tenant_id, project_id, kid);
ALTER TABLE tenancy.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.api_keys
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE DELETE ON tenancy.api_keys FROM allod_tenancy;
