-- A request id is the project's whose instance it is about: projects of a tenant know nothing of each other's, so neither
-- learns which ids another used nor takes them from it.

ALTER TABLE scheduling.request_ids ADD COLUMN project text NOT NULL DEFAULT '';
ALTER TABLE scheduling.request_ids NO FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.operations NO FORCE ROW LEVEL SECURITY;
UPDATE scheduling.request_ids r SET project = o.project
  FROM scheduling.operations o WHERE o.tenant_id = r.tenant_id AND o.id = r.operation_id;
ALTER TABLE scheduling.request_ids FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.operations FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.request_ids DROP CONSTRAINT request_ids_pkey, ADD PRIMARY KEY (tenant_id, project, id);
