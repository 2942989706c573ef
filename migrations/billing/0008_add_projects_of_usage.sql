-- A key lists the usage of its own project: a range of an index, however much the tenant's other projects have. It is a
-- column, because row-level security lets no index be searched by a function of `instance` that is not leakproof.

ALTER TABLE billing.usage_records
  ADD COLUMN project text NOT NULL GENERATED ALWAYS AS (split_part(instance, '/', 4)) STORED;
CREATE INDEX usage_records_by_project ON billing.usage_records (tenant_id, project, request_id);
