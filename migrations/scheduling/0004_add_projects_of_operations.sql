-- A key lists the operations of its own project: a range of an index, however many the tenant's other projects have. It is
-- a column, because row-level security lets no index be searched by a function of `instance_name` that is not leakproof.

ALTER TABLE scheduling.operations
  ADD COLUMN project text NOT NULL GENERATED ALWAYS AS (split_part(instance_name, '/', 4)) STORED;
CREATE INDEX operations_by_project ON scheduling.operations (tenant_id, project, id);
