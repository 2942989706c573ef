-- A request id that made a key is its project's: projects of a tenant know nothing of each other's, so neither learns which
-- ids another used nor takes them from it. Those that made projects are the tenant's as a whole, and have none.

ALTER TABLE tenancy.request_ids ADD COLUMN project text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE tenancy.request_ids NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.api_keys NO FORCE ROW LEVEL SECURITY;
UPDATE tenancy.request_ids r SET project = k.project_id
  FROM tenancy.api_keys k WHERE k.tenant_id = r.tenant_id AND k.kid = r.resource_id;
ALTER TABLE tenancy.request_ids FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.api_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.request_ids DROP CONSTRAINT request_ids_pkey, ADD PRIMARY KEY (tenant_id, project, request_id);
