CREATE TABLE tenancy.projects (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  id text COLLATE "C" NOT NULL,
  display_name text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 128),
  create_time timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
ALTER TABLE tenancy.projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.projects FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.projects
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE UPDATE, DELETE ON tenancy.projects FROM allod_tenancy;

-- What each request id made: a project's id or a key's kid.
CREATE TABLE tenancy.request_ids (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  request_id uuid NOT NULL,
  payload_sha256 text NOT NULL,
  resource_id text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, request_id)
);
ALTER TABLE tenancy.request_ids ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.request_ids FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.request_ids
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE UPDATE, DELETE ON tenancy.request_ids FROM allod_tenancy;
